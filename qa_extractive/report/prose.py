"""What the parts of a report tell, in words."""

from __future__ import annotations

from qa_extractive.report.cells import UNDEFINED


def _joined(text: str) -> str:
    """A text as one line."""
    return " ".join(text.split())


F1_AND_EM = _joined("""
    F1 is the overlap of the words of the answer with those of the nearest reference, EM the share of answers
    that equal a reference but for case, punctuation and articles; both in percent, by the rule of SQuAD 2.0.
    An abstention is right where there is no answer and wrong elsewhere.
""")
RIGHT = "Where right or wrong is all that is asked, an answer is right with an F1 of at least 50 %."
INTERVALS = _joined("""
    An interval holds the figure in 95 of 100 such samples of documents. To tell two systems apart, read their
    comparison and not whether their intervals overlap: what is hard for both cancels out in it.
""")
NOT_DEFINED = f'"{UNDEFINED}" stands for a figure that these rows do not define.'
PROBLEMS = "Problems. A row that a system failed on counts as an empty answer:"

SHIPPED = _joined("""
    The first table is what a user gets: a system is rewarded for right answers and for saying that there is
    none. Numbers exact is the share of the rows with a number in the reference whose answer has that number
    with its sign, bound and unit, and no other. Verbatim is the share of answers that stand in the text at
    their offsets: all but 100.0 is a bug.
""")
FORCED = _joined("""
    The second table takes the decision to abstain away and shows how well spans are found. Evidence sentence
    is the share of the rows with labelled spans whose answer stands in the right sentence.
""")
NO_ANSWERS = "No right answer is known of any row, so only abstention, offsets and speed can be told."

COMPARISON = _joined("""
    Both systems are scored on the same resampled documents. A difference is clear where its 95 % interval
    leaves out 0; the share says in how many of the resamples the system is the better one, a draw counting
    half. F1 and EM differ in percentage points; of AURC, less is better.
""")

ANSWERING = _joined("""
    AUROC is how often an answerable row gets a higher probability than an unanswerable one: chance is 0.5,
    whatever the share of answerable rows. The chance level of average precision is that share. F1 of
    answering takes the decisions as given, at each system's own threshold. Yes/no questions are told by
    their words; the others count as wh-questions.
""")

VERDICTS = _joined("""
    A verdict is right where it is the known one, and one that is not given is wrong: given is the share of
    the questions that get one. The last rows read no text: one verdict for all, and what a classifier makes
    of the words of a question, taught on the rows of other documents.
""")

STATUSES = _joined("""
    From its threshold on a system answers. Below it, it is not sure and shows its closest span as long as
    "answerable" is at least 0.2, and else says that the paper does not say. A reader still sees the right
    spans of the second line; those of the third are lost.
""")

RELIABILITY = _joined("""
    "answerable" promises that the text answers the question, "score" that the best span is right. The
    calibration error is the mean distance between promise and outcome over at most 15 bins; the Brier score
    also rewards telling right from wrong. Baselines promise what they do, which is no calibrated probability.
""")
RELIABILITY_PLOT = _joined("""
    Reliability: what was promised and what came true, in bins of about equally many rows, at least 10 where
    there are so many. Below the diagonal a system is too sure, above it too modest.
""")

SELECTIVE = _joined("""
    Rows are sorted by score and the surest answered. AURC is the mean risk over all such cuts, AUGRC the mean
    rate of wrong answers that get through; less is better. Coverage is the largest share of all rows that can
    be answered while so many of the answers are right: on these rows, which promises nothing for others.
""")
RISK_COVERAGE_PLOT = _joined("""
    Risk and coverage: the share of wrong answers if only the surest are given. A good order of answers starts
    low at the left; the right end is the risk of answering everything, unanswerable questions too.
""")

SPEED = _joined("""
    Questions in, answers out, in wall-clock time on the machine and under the load of this run: these figures
    change from run to run. Of few batches the high percentiles are nearly the slowest one.
""")
LATENCY_PLOT = "Latency: the median and the slow end of the time that a batch takes."
COST_PLOT = _joined("""
    Accuracy against cost: F1 as given and the time for 1,000 questions. A system is worth its time only if
    none to its left is as high.
""")
USAGE = _joined("""
    What the endpoint was asked, and what it charges at the prices given. A quote that is not in the text is
    an invention; nothing could point at it, so it counts as an abstention. Its probabilities are 1 or 0, so
    calibration and AUROC say only how often it was right. Times include the rate limit and retries.
""")

SLICES = _joined("""
    Each cell gives F1 as answered, with its interval from 30 rows on; EM; and the share abstained. Parts of
    few rows say little.
""")
LENGTH_PLOT = _joined("""
    F1 by length of the input, in tokens of the embedded model's tokenizer for every system. Bars are 95 %
    intervals, from 30 rows on.
""")
FAILURES = _joined("""
    The mistakes that each system was surest of, at most five of a kind: what to read first before trusting
    it, or the labels.
""")
