"""Not a test: answers a Parquet file with a local Spark, as docs/BATCH.md shows it.

Arguments: the model's folder, the file, the file of JSON lines to write, the threshold. In a process of its
own, because Spark leaves its Java gateway behind.
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from qa_extractive import Predictor
from qa_extractive.batch.arrow import AnswerKernel

model, table, output, threshold = sys.argv[1:]
kernel = AnswerKernel(Predictor(model, threshold=float(threshold)), n_threads=1)
settings = {"spark.ui.enabled": "false"}
spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
papers = spark.read.parquet(table).repartition(3)
schema = from_arrow_schema(kernel.schema(to_arrow_schema(papers.schema)))
rows = sorted(papers.mapInArrow(kernel.map, schema).collect(), key=lambda row: row["id"])
Path(output).write_text("".join(json.dumps(row.asDict()) + "\n" for row in rows), encoding="utf-8")
spark.stop()
