variable "region" {
  description = "Where everything lives."
  type        = string
  default     = "eu-central-1"
}

variable "name" {
  description = "Name of the cluster and prefix of the rest."
  type        = string
  default     = "qa-extractive"
}

variable "subnet_ids" {
  description = "Private subnets of the nodes, in at least two zones, with a way out to ECR and S3."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "EKS needs subnets in two zones: give at least two."
  }
}

variable "api_cidrs" {
  description = "Addresses that may reach the cluster's API from outside; empty: none."
  type        = list(string)
  default     = []
}

variable "namespace" {
  description = "Kubernetes namespace of the service."
  type        = string
  default     = "default"
}

variable "instance_type" {
  description = "Of the nodes. One with AVX-512 VNNI runs the int8 model fastest."
  type        = string
  default     = "c7i.xlarge"
}

variable "max_nodes" {
  description = "Most nodes of the group; changing their number by load needs a cluster autoscaler."
  type        = number
  default     = 4
}
