/** A question or a text that cannot be read. */
export class DataError extends Error {
  override name = "DataError";
}

/** A model that cannot be read, or a setting that it cannot meet. */
export class ModelError extends Error {
  override name = "ModelError";
}
