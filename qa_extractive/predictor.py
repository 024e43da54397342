"""``Predictor``: questions in, answers out.

Serving code: numpy, onnxruntime and tokenizers, no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_extractive._utils.bounded_folder import BoundedFolder
from qa_extractive._utils.cpus import available_cpus
from qa_extractive._utils.digests import folder_digest
from qa_extractive.archive.cache import FolderState, cache_folder
from qa_extractive.archive.unpack import OpenedModel, open_model
from qa_extractive.config import ReaderConfig
from qa_extractive.errors import DataError, LongContextError, ModelError
from qa_extractive.inference.answers import candidate_scores as candidate_scores  # re-exported
from qa_extractive.inference.answers import to_answer as to_answer
from qa_extractive.inference.backend import Backend, WindowLogits
from qa_extractive.inference.calibration import CALIBRATION_FILES, Calibration
from qa_extractive.inference.decoding import RawPrediction, decode
from qa_extractive.inference.onnx_backend import MODEL_FILE, OnnxBackend
from qa_extractive.inference.pipeline import Prepared, prepare, read, read_as, read_prepared
from qa_extractive.inference.relevance import RELEVANT_FROM, KeepRule, scored_sentences
from qa_extractive.inference.windows import Window, Windower
from qa_extractive.settings import KEPT_FOLDER_MB, KEPT_MB, NATIVE, AnswerSettings, checked_number
from qa_extractive.types import Answer, Question, Span

if TYPE_CHECKING:
    from qa_extractive.evidence.types import Evidence, Texts
    from qa_extractive.extraction.types import Extracted

DEFAULT_MODEL = Path(__file__).parent / "models" / "default"


class Predictor:
    """Answers questions with a verbatim span, its sentence and calibrated probabilities, or abstains.

    Safe to use from several threads at once; pickled as its folder and settings.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threshold: float | None = None,
        top_k: int = 5,
        max_risk: float | None = None,
        effort: str = "full",
        kept_mb: int = KEPT_MB,
        precision: str = NATIVE,
        max_context_characters: int | None = None,
        kept_folder: str | Path | None = None,
        kept_folder_mb: int = KEPT_FOLDER_MB,
        n_threads: int | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: Folder written by ``export_onnx.py``, or the file it packed (unpacked once, into
                $QA_EXTRACTIVE_CACHE or ~/.cache/qa_extractive); None for the embedded model.
            threshold: Abstain below this answerable probability, in [0, 1]; None for the model's own.
                0 never abstains, except on a context that holds no token.
            top_k: Candidates of each answer, at least 1.
            max_risk: Take the lowest threshold that keeps the share of given answers that are not
                right at most this, in (0, 1), with 95 % confidence; excludes ``threshold``.
            effort: "full", or "fast": the upper layers read only the sentences that the lower ones point at;
                or "cached": that, and the lower layers read a paper apart from its question, so that what
                they make of the paper can be kept for other questions to it. Each has a calibration of its
                own, and a model trained with ``skim_layers``. An answer does not depend on what is kept.
            kept_mb: Megabytes of memory for what is kept at the effort "cached", at least 1; some 3 for an
                abstract of 200 words where one layer reads papers apart. The papers not asked about for
                longest make room.
            precision: "native": integer products where the file is int8, whose sums are exact on every CPU
                while roundings between them differ from one kind of CPU to another; or "exact": float
                products of the same stored weights, whose best spans are the same on every CPU, for about
                twice the time.
            max_context_characters: A longer context is a DataError, or the error of its row, instead of
                minutes of work; None for no limit.
            kept_folder: Folder where it is kept on disk too, for other processes and later ones; None for
                none. Only at the effort "cached". To load a paper takes a sixth of the time that the lower
                layers take for it (a ninth with four such layers), and more from a slow disk. Processes of
                one user may share it; each kind of CPU, version and model has files of its own. One that is
                broken is replaced; a folder that cannot be written costs a warning. Since texts can be
                guessed from the files, only this user may read them.
            kept_folder_mb: Megabytes that these files may have, at least 1; those used longest ago make room.
            n_threads: Windows run at once; None for the CPUs this process may use. More than 16 and more than
                four for each CPU are taken as that many, with a warning.

        Raises:
            ModelError: It is no exported model, a packed one is refused, an argument is out of its range, or
                its files changed while they were read.
        """
        opened = _opened(model)
        self.folder, self.model_name = opened.folder, opened.name
        self._state = FolderState.of(self.folder)
        self.config = ReaderConfig.load(self.folder)
        keep_above = self.config.keep_above(effort)
        self.calibration = Calibration.load(self.folder, CALIBRATION_FILES[effort])
        least = _threshold(self.calibration, threshold, max_risk)
        self.settings = AnswerSettings(
            least,
            top_k,
            effort,
            kept_mb,
            precision,
            max_context_characters,
            _absolute(kept_folder, "kept_folder"),
            kept_folder_mb,
        )
        n_kept = self.settings.kept_bytes
        on_disk = _paper_folder(self.settings)
        backend = OnnxBackend(self.folder, n_threads, keep_above, n_kept or None, precision, on_disk)
        self._windower = Windower.load(
            self.folder,
            self.config.window,
            with_sentences=keep_above is not None,
            kept_tokens=n_kept // max(1, backend.bytes_a_token),
            grid=backend.window_grid,
        )
        self._backend: Backend = backend
        self._n_threads = None if n_threads is None else backend.n_threads
        self._state.require("while it was loaded: load it again")

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        quantize: str = "auto",
        cache: str | Path | None = None,
        allow_pickle: bool = False,
        **settings: Any,
    ) -> Predictor:
        """A predictor from any question-answering checkpoint, exported once. Needs the [train] extra.

        A hub id is exported the first time only and then found by its name: delete the folder of the
        cache to take a newer version. A local folder is found by the contents of its files, so it is
        exported again when they change and not when it was only moved or copied. A plain checkpoint
        has no answerability head and no calibration: its probabilities are the logistic of the span's
        margin over "no span".

        Args:
            name: Hub id or local folder of a Hugging Face question-answering checkpoint or of one
                written by ``train.py``; an exported model, folder or packed, is used as it is.
            quantize: "auto" for the first of "int8", "int8-weights", "fp16" and "none" whose best spans are
                those of the checkpoint on made questions; or one of these, or "int4".
            cache: Folder of exported models; None for $QA_EXTRACTIVE_CACHE or ~/.cache/qa_extractive.
            allow_pickle: Whether weights may be read from ``.bin`` files where there is no safetensors.
            settings: Keyword arguments of ``Predictor``.

        Raises:
            ModelError: The extra is missing, or the checkpoint cannot be had.
            ExportError: The export failed.
        """
        from qa_extractive.export.cache import exported

        folder = exported(str(name), quantize, cache_folder(cache), allow_pickle=allow_pickle)
        predictor = cls(folder, **settings)
        predictor.model_name = str(name)
        return predictor

    @property
    def threshold(self) -> float:
        """Abstain below this answerable probability."""
        return self.settings.threshold

    @property
    def top_k(self) -> int:
        """Candidates of each answer."""
        return self.settings.top_k

    @property
    def effort(self) -> str:
        """How much is read: "full", "fast" or "cached"."""
        return self.settings.effort

    @property
    def precision(self) -> str:
        """How the model multiplies: "native" or "exact"."""
        return self.settings.precision

    @property
    def n_threads(self) -> int:
        """Windows run at once."""
        return self._n_threads or available_cpus()

    @property
    def windower(self) -> Windower:
        """Cuts questions into the windows that ``backend`` runs."""
        return self._windower

    @property
    def backend(self) -> Backend:
        """Runs the windows; for callers that schedule them themselves."""
        return self._backend

    def answer(
        self,
        question: str,
        context: str,
        title: str | None = None,
        *,
        threshold: float | None = None,
        top_k: int | None = None,
    ) -> Answer:
        """The answer to one question; of a blank context, an abstention.

        Args:
            question: What is asked.
            context: The text that may hold the answer.
            title: Of the paper.
            threshold: For this call; None for the predictor's own. The same goes for ``top_k``.
            top_k: Candidates of the answer.

        Raises:
            DataError: A text is no string, or the question is empty or too long.
            ModelError: ``threshold`` or ``top_k`` is out of its range.
        """
        asked = [Question(question, context, title)]
        return self.answer_batch(asked, threshold=threshold, top_k=top_k)[0]

    def answer_batch(
        self,
        questions: Sequence[Question | Mapping[str, Any]],
        *,
        threshold: float | None = None,
        top_k: int | None = None,
    ) -> list[Answer]:
        """The answers in the order of the questions; none depends on the others.

        Args:
            questions: Each a ``Question``, or a dict with ``question``, ``context`` and perhaps ``title``.
            threshold: For this call; None for the predictor's own. The same goes for ``top_k``.
            top_k: Candidates of each answer.

        Raises:
            DataError: One is neither, lacks a text, or is too long; the message gives its index.
            ModelError: ``threshold`` or ``top_k`` is out of its range.
        """
        chosen = self._with(threshold, top_k)
        asked = chosen._checked(questions)
        return chosen._answers(asked, chosen._read(asked))

    def answer_paper(
        self,
        questions: Sequence[str],
        context: str,
        title: str | None = None,
        *,
        threshold: float | None = None,
        top_k: int | None = None,
    ) -> list[Answer]:
        """The answers to several questions about one text, in their order.

        Each is the one that ``answer`` gives. At the effort "cached" the lower layers read the text once for
        all questions of about the same length (``cached_grid``), and again for another title.

        Args:
            questions: What is asked.
            context: The text that may hold the answers.
            title: Of the paper.
            threshold: For this call; None for the predictor's own. The same goes for ``top_k``.
            top_k: Candidates of each answer.

        Raises:
            DataError: As of ``answer_batch``; or ``questions`` is one string.
            ModelError: As of ``answer_batch``.
        """
        if isinstance(questions, str) or not isinstance(questions, Iterable):
            kind = "one string" if isinstance(questions, str) else type(questions).__name__
            raise DataError(f"questions must be a list of strings, not {kind}: use answer for one")
        asked = [{"question": question, "context": context, "title": title} for question in questions]
        return self.answer_batch(asked, threshold=threshold, top_k=top_k)

    def answer_papers(
        self,
        question: str,
        papers: Sequence[Texts],
        *,
        threshold: float | None = None,
        top_k: int | None = None,
    ) -> Evidence:
        """What papers say to a question: the answers of ``answer_batch``, votes counted or values listed.

        Args:
            question: What is asked of each paper; by its words, a yes/no question or another.
            papers: Each a text, a dict or a ``Paper``: what ``PaperText.of`` takes.
            threshold: For this call; None for the predictor's own. The same goes for ``top_k``.
            top_k: Candidates of each answer.

        Raises:
            DataError: As of ``answer_batch``; or one is no paper.
            ModelError: As of ``answer_batch``.
        """
        from qa_extractive.evidence.gather import evidence_of, questions_of, texts_of

        chosen, texts = self._with(threshold, top_k), texts_of(papers)
        asked = questions_of(question, texts, self.check)
        return evidence_of(question, texts, chosen._answers(asked, chosen._read(asked)))

    def relevant_sentences(
        self,
        question: str,
        context: str,
        title: str | None = None,
        *,
        threshold: float = RELEVANT_FROM,
        max_sentences: int | None = None,
        max_share: float | None = None,
    ) -> list[Span]:
        """The sentences of a context that are worth keeping for a question, in document order.

        The score of each is the probability that the answer is in it; those of all sentences, also of the
        ones left out, sum to ``answerable``. The most probable are kept, until a limit would be passed.

        Args:
            question: What is asked.
            context: The text.
            title: Of the paper.
            threshold: Sentences below this probability are left out, in [0, 1], so that nothing may be left
                of a text that does not answer; 0 for as many as the limits allow.
            max_sentences: At most so many; None for no limit.
            max_share: They hold at most this share, in (0, 1], of the characters of all sentences; one always
                fits. None for no limit.

        Raises:
            DataError: As of ``answer``.
            ModelError: A number is out of its range.
        """
        rule = KeepRule(threshold, max_sentences, max_share)
        return self._relevant([Question(question, context, title)], rule)[0]

    def relevant_sentences_batch(
        self,
        questions: Sequence[Question | Mapping[str, Any]],
        *,
        threshold: float = RELEVANT_FROM,
        max_sentences: int | None = None,
        max_share: float | None = None,
    ) -> list[list[Span]]:
        """The same of many questions, as ``answer_batch`` takes them, in their order."""
        return self._relevant(questions, KeepRule(threshold, max_sentences, max_share))

    def extract(
        self,
        context: str,
        fields: Mapping[str, Any],
        title: str | None = None,
        *,
        threshold: float | None = None,
    ) -> dict[str, Extracted]:
        """Many fields of one text: of each the verbatim quote and its value, or none where not reported.

        Args:
            context: The text.
            fields: Of each its name, and a question or a dict with ``question`` and perhaps ``type``, one of
                ``extraction.fields.TYPES``; or a JSON Schema of an object, each of whose properties has its
                question as its ``description``.
            title: Of the paper.
            threshold: Below this answerable probability a field is not reported; None for the predictor's
                own.

        Raises:
            DataError: The fields or a text are not of this form, or a library of a type is not installed.
            ModelError: ``threshold`` is out of its range.
        """
        from qa_extractive.extraction.extract import extracted, questions_of
        from qa_extractive.extraction.fields import fields_of

        asked = fields_of(fields)
        questions = questions_of(asked, context, title, self.check)
        return extracted(asked, context, self.answer_batch(questions, threshold=threshold))

    def prepare(self, questions: Sequence[Question]) -> list[Prepared]:
        """Tokenize questions, so that another thread can do so while earlier ones are answered.

        Raises:
            DataError: A question is too long.
        """
        return prepare(questions, self._windower)

    def answer_prepared(self, prepared: Sequence[Prepared]) -> list[Answer]:
        """The answers to what ``prepare`` made, in order."""
        predictions = read_prepared(
            prepared, self._backend, self.config.decode, top_k=self.settings.n_decoded
        )
        return self._answers([question for each in prepared for question in each.questions], predictions)

    def answer_frame(
        self,
        frame: Any,
        *,
        question_column: str | None = None,
        context_column: str | None = None,
        title_column: str | None = None,
        with_candidates: bool = False,
        threshold: float | None = None,
        top_k: int | None = None,
    ) -> Any:
        """A ``pandas.DataFrame`` with the same index and columns, then those that ``infer.py`` adds.

        A row that cannot be answered has its ``error``. Missing values are ``<NA>`` or NaN.

        Args:
            frame: The questions and their contexts; it is not changed.
            question_column: Its name; None for a usual one. The same goes for the other two.
            context_column: Of the texts.
            title_column: Of the titles.
            with_candidates: Whether to add ``candidates``, a list of dicts.
            threshold: For this call; None for the predictor's own. The same goes for ``top_k``.
            top_k: Candidates of each answer.

        Raises:
            DataError: It is no frame, or a column is missing or there twice.
            ModelError: ``threshold`` or ``top_k`` is out of its range.
        """
        from qa_extractive.data.columns import ColumnNames
        from qa_extractive.rows.frame import answer_frame

        names = ColumnNames(question_column, context_column, title_column)
        chosen = self._with(threshold, top_k)
        return answer_frame(chosen, frame, names, with_candidates=with_candidates)

    def identity(self) -> dict[str, str | int | float]:
        """What decides the answers besides the questions: a digest of the model, and the settings.

        Raises:
            ModelError: The files are no longer those that were loaded.
        """
        self._state.require("since it was loaded: load it again")
        return {"model": folder_digest(self.folder), **self.settings.identity()}

    def read_batch(self, questions: Sequence[Question | Mapping[str, Any]]) -> list[RawPrediction]:
        """What the model makes of each question, in order, before calibration and abstention.

        Raises:
            DataError: As of ``answer_batch``.
        """
        return self._read(self._checked(questions))

    def check(self, question: Question) -> None:
        """Raise DataError if a question is too long to be read, or its context longer than is allowed."""
        most = self.settings.max_context_characters
        if most is not None and len(question.context) > most:
            raise LongContextError(
                f"context of {len(question.context):,} characters exceeds {most:,}: split it, or raise "
                "max_context_characters"
            )
        self._windower.check(question)

    def _read(self, questions: Sequence[Question]) -> list[RawPrediction]:
        return read(
            questions,
            self._windower,
            self._backend,
            self.config.decode,
            top_k=self.settings.n_decoded,
            n_threads=self.n_threads,
        )

    def _relevant(
        self, questions: Sequence[Question | Mapping[str, Any]], rule: KeepRule
    ) -> list[list[Span]]:
        def kept(
            asked: Sequence[Question], windows: Sequence[Window], logits: Sequence[WindowLogits]
        ) -> list[list[Span]]:
            found = decode(asked, windows, logits, self.config.decode, top_k=self.settings.n_decoded)
            scored = scored_sentences(asked, windows, logits, found, self.calibration)
            return [rule.kept(sentences) for sentences in scored]

        checked = self._checked(questions)
        return read_as(kept, checked, self._windower, self._backend, n_threads=self.n_threads)

    def _answers(self, questions: Sequence[Question], predictions: Sequence[RawPrediction]) -> list[Answer]:
        return [
            to_answer(question, prediction, self.calibration, self.settings)
            for question, prediction in zip(questions, predictions, strict=True)
        ]

    def _with(self, threshold: float | None, top_k: int | None) -> Predictor:
        """This predictor with what one call chooses; both share the model and its context cache."""
        if threshold is None and top_k is None:
            return self
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, settings=self.settings.chosen(threshold, top_k))
        return other

    def _checked(self, questions: Iterable[Question | Mapping[str, Any]]) -> list[Question]:
        if isinstance(questions, (str, Question, Mapping)) or not isinstance(questions, Iterable):
            raise DataError(
                f"questions must be a list of Question or of dicts, not {type(questions).__name__}"
            )
        return [self._checked_at(i, question) for i, question in enumerate(questions)]

    def _checked_at(self, index: int, values: Question | Mapping[str, Any]) -> Question:
        if not isinstance(values, (Question, Mapping)):
            raise DataError(f"questions[{index}] must be a Question or a dict, not {type(values).__name__}")
        try:
            question = Question.of(values)
            self.check(question)
        except DataError as error:
            raise DataError(f"questions[{index}]: {error}") from None
        return question

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.folder, self.model_name, self.settings, self._n_threads)


def _restore(
    cls: type[Predictor], folder: Path, model_name: str, settings: AnswerSettings, n_threads: int | None
) -> Predictor:
    predictor = cls(folder, **asdict(settings), n_threads=n_threads)
    predictor.model_name = model_name
    return predictor


def _threshold(calibration: Calibration, threshold: float | None, max_risk: float | None) -> float:
    if threshold is not None and max_risk is not None:
        raise ModelError("threshold and max_risk exclude each other: give one of them")
    if max_risk is not None:
        return calibration.threshold_for_risk(checked_number(max_risk, "max_risk"))
    # A number of numpy must not reach a fingerprint, which is written as JSON.
    return calibration.threshold if threshold is None else checked_number(threshold, "threshold")


def _absolute(folder: str | Path | None, name: str) -> str | None:
    """The path, for processes that work elsewhere; ModelError, with the argument's name, if it is none."""
    if folder is None:
        return None
    if not isinstance(folder, (str, Path)) or not str(folder) or "\0" in str(folder):
        raise ModelError(f"{name} must be a folder or None, got {folder!r:.80}")
    return str(Path(folder).absolute())


def _paper_folder(settings: AnswerSettings) -> BoundedFolder | None:
    if settings.kept_folder is None:
        return None
    return BoundedFolder(Path(settings.kept_folder), settings.kept_folder_mb * 1_000_000)


def _opened(model: str | Path | None) -> OpenedModel:
    if model is None:
        if not (DEFAULT_MODEL / MODEL_FILE).is_file():
            raise ModelError(f"no embedded model at {DEFAULT_MODEL}: install qa-extractive again")
        return OpenedModel(DEFAULT_MODEL, DEFAULT_MODEL.name)
    if not isinstance(model, (str, Path)):
        raise ModelError(f"model must be a folder, a file or None, not {type(model).__name__}")
    return open_model(model)
