"""Exercises of chapter 606: batches counted, workers predicted, ragged samples collated."""

from __future__ import annotations

import multiprocessing

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from helpers.exercises import Exercise, Wrong

# The chapter's answers are functions of a notebook: only a forked worker knows them.
START = "fork" if "fork" in multiprocessing.get_all_start_methods() else None


class Diary(Dataset):
    """Four samples: each is how many this process, and those it copied, have fetched so far."""

    def __init__(self):
        self.seen = []

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.seen.append(index)
        return len(self.seen)


class OwnDice(Dataset):
    """As in the chapter: eight random numbers from a generator made in the main process."""

    unsolved = False

    def __init__(self):
        self.rng = torch.Generator("cpu").manual_seed(0)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.tensor(-1.0) if self.unsolved else torch.rand((), generator=self.rng)


def counting_batches():
    loader = DataLoader(range(50), batch_size=8)
    full = DataLoader(range(50), batch_size=8, drop_last=True)
    return len(loader), len(list(loader)[-1]), 50 - sum(len(batch) for batch in full)


def the_third_epoch():
    diary = Diary()
    for workers in (2, 0, 2):
        start = START if workers else None
        loader = DataLoader(diary, num_workers=workers, multiprocessing_context=start)
        epoch = [batch.item() for batch in loader]
    return epoch


def deal_and_take():
    events = []

    class Logged:
        def __len__(self):
            return 4

        def __iter__(self):
            for index in range(4):
                events.append(f"deal {index}")
                yield index

    loader = DataLoader(
        range(4),
        sampler=Logged(),
        num_workers=1,
        prefetch_factor=2,
        multiprocessing_context=START,
    )
    for batch in loader:
        events.append(f"take {batch.item()}")
    return events


def collate_sentences(sentences):
    longest = max(len(sentence) for sentence in sentences)
    padded = torch.full((len(sentences), longest), -1)
    mask = torch.zeros(len(sentences), longest, dtype=torch.bool)
    for row, sentence in enumerate(sentences):
        padded[row, : len(sentence)] = sentence
        mask[row, : len(sentence)] = True
    return padded, mask


def _pad_sequence(sentences):
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    padded = torch.nn.utils.rnn.pad_sequence(sentences, batch_first=True, padding_value=-1)
    return padded, torch.arange(padded.shape[1]) < lengths[:, None]


def _mask_from_values(sentences):
    padded = torch.nn.utils.rnn.pad_sequence(sentences, batch_first=True, padding_value=-1)
    return padded, padded >= 0


def _zero_is_no_word(sentences):
    padded = torch.nn.utils.rnn.pad_sequence(sentences, batch_first=True)
    return padded.masked_fill(padded == 0, -1), padded != 0


def _words_first(sentences):
    padded = torch.nn.utils.rnn.pad_sequence(sentences, padding_value=-1)
    return padded, padded >= 0


def _padded_before(sentences):
    padded, mask = collate_sentences([sentence.flip(0) for sentence in sentences])
    return padded.flip(1), mask.flip(1)


def _mask_of_padding(sentences):
    padded, mask = collate_sentences(sentences)
    return padded, ~mask


def reseed(worker_id):
    info = get_worker_info()
    info.dataset.rng.manual_seed(info.seed)


def _reseed_initial(worker_id):
    get_worker_info().dataset.rng.manual_seed(torch.initial_seed())


def _reseed_by_number(worker_id):
    get_worker_info().dataset.rng.manual_seed(worker_id)


def _reseed_nothing(worker_id):
    pass


def _reseed_from_outside(worker_id):
    get_worker_info().dataset.rng.seed()


def _two_epochs(answer, workers):
    """Two epochs, twice over: how many different numbers, and whether the second time repeats."""

    def start(worker_id):
        # What a worker_init_fn returns stays in the worker: the samples bring the news.
        get_worker_info().dataset.unsolved = answer(worker_id) is ...

    runs = []
    for _ in range(2):
        loader = DataLoader(
            OwnDice(),
            num_workers=workers,
            worker_init_fn=start,
            generator=torch.Generator("cpu").manual_seed(0),
            multiprocessing_context=START,
        )
        runs.append(torch.cat([torch.cat(list(loader)), torch.cat(list(loader))]))
    if (runs[0] < 0).any():
        return ...
    return {
        "different numbers in an epoch of eight": len(runs[0][:8].unique()),
        "different numbers among sixteen": len(runs[0].unique()),
        "repeated by the same loader seed": torch.equal(*runs),
    }


def samples_in_flight():
    given = []

    class Counted:
        def __len__(self):
            return 100

        def __iter__(self):
            for index in range(100):
                given.append(index)
                yield index

    loader = DataLoader(
        range(100),
        batch_size=4,
        sampler=Counted(),
        num_workers=2,
        prefetch_factor=3,
        multiprocessing_context=START,
    )
    for _ in loader:
        return len(given)


EXERCISES = [
    Exercise(
        id="606.1",
        name="Counting batches",
        kind="predict",
        key=counting_batches,
        wrong=[
            Wrong((6, 8, 2), "Without drop_last the incomplete batch counts as well."),
            Wrong((7, 2, 8), "What drop_last loses is the incomplete batch, and no more."),
            Wrong((7, 8, 2), "Six batches of 8 hold 48: what is left for the last one?"),
        ],
        hints=[
            "How many full batches of 8 fit into 50?",
            "What remains is the last batch; drop_last throws away exactly that one.",
        ],
        explanation="50 = 6 * 8 + 2: a seventh batch of two, which drop_last leaves out.",
    ),
    Exercise(
        id="606.2",
        name="The third epoch",
        kind="predict",
        key=the_third_epoch,
        wrong=[
            Wrong(
                [1, 1, 2, 2],
                "The epoch without workers wrote into our own diary; what do the new workers copy?",
            ),
            Wrong(
                [5, 6, 7, 8],
                "Two workers write into two diaries: each one counts alone.",
            ),
            Wrong(
                [5, 6, 5, 6],
                "The two take turns: the first two numbers come from different workers.",
            ),
            Wrong(
                [7, 7, 8, 8],
                "What the workers of the first epoch wrote died with them.",
            ),
            Wrong(
                lambda answer: isinstance(answer, list | tuple) and max(answer, default=0) > 8,
                "Only one of the first two epochs left anything in our diary.",
                example=[9, 10, 11, 12],
            ),
        ],
        hints=[
            "How long is the list in our process after the first epoch? And after the second?",
            "Both workers of the third epoch start with a copy of that list and take turns.",
        ],
        explanation="Four entries from the epoch without workers, copied into two new processes.",
    ),
    Exercise(
        id="606.3",
        name="Deal and take",
        kind="order",
        key=deal_and_take,
        wrong=[
            Wrong(
                [f"{what} {k}" for k in range(4) for what in ("deal", "take")],
                "That is a loader without workers: nothing is dealt ahead.",
            ),
            Wrong(
                [f"{what} {k}" for what in ("deal", "take") for k in range(4)],
                "The loader deals only prefetch_factor * num_workers ahead, not everything.",
            ),
            Wrong(
                [
                    *("deal 0", "deal 1", "take 0", "deal 2"),
                    *("take 1", "deal 3", "take 2", "take 3"),
                ],
                "A new index is dealt while the loader takes a batch, before your loop has it.",
            ),
        ],
        hints=[
            "How many are dealt when the iterator is made?",
            "Each take deals one more first, as long as there are any.",
        ],
        explanation="Two ahead; each batch on its way to the loop deals out one more.",
    ),
    Exercise(
        id="606.4",
        name="Sentences of different lengths",
        kind="write",
        model=collate_sentences,
        cases=lambda: [
            ([torch.tensor([4, 2]), torch.tensor([7, 1, 3])],),
            ([torch.tensor([5, 0, 0]), torch.tensor([0]), torch.tensor([9, 8])],),
            ([torch.tensor([6]), torch.tensor([], dtype=torch.int64)],),
            ([torch.arange(12)[::3], torch.arange(2), torch.arange(1, 7)],),
        ],
        right=[_pad_sequence, _mask_from_values],
        wrong=[
            Wrong(_zero_is_no_word, "0 is a word: the mask must come from the lengths."),
            Wrong(_words_first, "pad_sequence puts the batch second unless batch_first=True."),
            Wrong(_padded_before, "The padding stands at the end of a row, after the words."),
            Wrong(_mask_of_padding, "The mask is True where there is a word, not where is none."),
        ],
        hints=[
            "The longest sentence gives the width; fill a tensor of that shape with -1 first.",
            "Write each sentence into the first len(sentence) places of its row.",
            "The mask: compare torch.arange(longest) with the lengths as a column.",
        ],
        explanation="pad_sequence(sentences, batch_first=True, padding_value=-1) does the filling.",
    ),
    Exercise(
        id="606.5",
        name="Loaded dice",
        kind="repair",
        model=reseed,
        cases=[(2,)],
        run=_two_epochs,
        right=[_reseed_initial],
        wrong=[
            Wrong(
                _reseed_by_number,
                "A worker's number is the same in every epoch, and so is everything seeded by it.",
                shows="different numbers",
            ),
            Wrong(
                _reseed_nothing,
                "Without a new seed all workers draw from copies of one generator.",
                shows="different numbers",
            ),
            Wrong(
                _reseed_from_outside,
                "seed() takes chance from the system: nobody can repeat that run.",
                shows="repeated",
            ),
        ],
        hints=[
            "Which number differs between workers and epochs, and follows from the generator?",
            "get_worker_info() knows more than the id and the dataset.",
        ],
        explanation="info.seed is drawn anew from the loader's generator at each epoch.",
    ),
    Exercise(
        id="606.6",
        name="Samples in flight",
        kind="measure",
        key=samples_in_flight,
        tolerance=0.001,
        wrong=[
            Wrong(
                24, "That is how many are dealt before you ask; count when the loop has its batch."
            ),
            Wrong(
                lambda answer: answer in (6, 7),
                "You counted batches; each one takes four indices.",
                example=7,
            ),
            Wrong(4, "That is one batch: this loader has workers, and they run ahead."),
            Wrong(100, "Count inside the loop's first pass, not after the loop."),
        ],
        hints=[
            "Write a class with __len__ and __iter__; count in __iter__ before each yield.",
            "Pass an instance as sampler=, and look at the count in the first pass of the loop.",
        ],
        explanation="Two workers, three batches each, and one more on taking: seven times four.",
    ),
]
