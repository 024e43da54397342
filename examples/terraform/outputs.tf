output "repository" {
  description = "Where the image is pushed."
  value       = aws_ecr_repository.this.repository_url
}

output "bucket" {
  description = "Where models are uploaded, below models/."
  value       = aws_s3_bucket.models.bucket
}

output "role_arn" {
  description = "For the annotation of the service account."
  value       = aws_iam_role.pod.arn
}

output "cluster" {
  description = "For `aws eks update-kubeconfig --name`."
  value       = aws_eks_cluster.this.name
}
