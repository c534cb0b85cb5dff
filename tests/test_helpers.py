"""The helpers that chapters lean on: each does what its docstring says, and refuses bad input."""

import base64
import io
import re
import subprocess
import sys
import warnings

import pytest
import torch
from PIL import Image

import helpers
from helpers import draw, expect_error, expect_warning, figures, pick_device, sharing, table
from helpers.memory import shares_storage


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, dict]]:
    """What was displayed: one pair of bundle and metadata an output."""
    outputs: list[tuple[dict, dict]] = []

    def display(bundle, metadata=None, raw=False):
        assert raw
        outputs.append((bundle, metadata or {}))

    monkeypatch.setattr("IPython.display.display", display)
    return outputs


def picture_of(output: tuple[dict, dict]) -> Image.Image:
    found = re.search(r'base64,([^"]+)"', output[0]["text/html"])
    return Image.open(io.BytesIO(base64.b64decode(found[1])))


# --- the package -----------------------------------------------------------------------------


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, helpers; heavy = {'torch', 'torchvision', 'matplotlib', 'IPython', 'networkx',"
        " 'PIL', 'numpy'} & set(sys.modules); sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"import helpers also imports {done.stderr}"


def test_every_public_name_is_there_and_documented():
    for name in helpers.__all__:
        assert getattr(helpers, name).__doc__, f"helpers.{name} has no docstring"


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"no 'grids'; it has: .*draw"):
        _ = helpers.grids


# --- errors and warnings -------------------------------------------------------------------------


def test_expect_error_prints_the_message(capsys):
    with expect_error(RuntimeError, "shape"):
        torch.zeros(6).view(4)
    assert capsys.readouterr().out.startswith("RuntimeError: shape '[4]' is invalid")


def test_expect_error_fails_when_nothing_is_raised():
    with pytest.raises(AssertionError, match="no ValueError was raised"):  # noqa: SIM117
        with expect_error(ValueError, "x"):
            pass


def test_expect_error_fails_on_another_message():
    with pytest.raises(AssertionError, match="does not contain 'blue'"):  # noqa: SIM117
        with expect_error(ValueError, "blue"):
            raise ValueError("red")


def test_expect_error_lets_another_error_through():
    with pytest.raises(KeyError):  # noqa: SIM117
        with expect_error(ValueError, "x"):
            raise KeyError("x")


def test_expect_error_hides_addresses_and_shortens(capsys):
    with expect_error(ValueError, "object"):
        raise ValueError("object at 0x7f00deadbeef\nsecond\nthird\nfourth")
    assert capsys.readouterr().out == "ValueError: object at 0x…\nsecond\nthird …\n"


def test_expect_error_wraps_a_long_line(capsys):
    with expect_error(ValueError, "word"):
        raise ValueError("word " * 100)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 94
    assert lines[2].endswith(" …")


def test_expect_error_says_the_same_on_cuda(capsys):
    with expect_error(RuntimeError, "[torch.FloatTensor [2]]"):
        raise RuntimeError("modified: [torch.cuda.FloatTensor [2]]; use torch.cuda.empty_cache()")
    out = capsys.readouterr().out
    assert out == "RuntimeError: modified: [torch.FloatTensor [2]]; use torch.cuda.empty_cache()\n"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("worker (pid 4711) died", "worker (pid …) died"),
        ("worker (pid(s) 12, 13) exited", "worker (pid(s) …) exited"),
        ("Output 0 of HookFunctionBackward is", "Output 0 of HookFunction is"),
        ("Output 0 of UnbindBackward0 is a view", "Output 0 of Unbind is a view"),
        ("which is output 0 of ExpBackward0, is at", "which is output 0 of Exp, is at"),
        ("mm: mat1 and mat2 shapes", "mat1 and mat2 shapes"),
        (
            "The differentiated Tensor at index 1 appears to not",
            "One of the differentiated Tensors appears to not",
        ),
        (
            "f() got an unexpected keyword argument 'dims'. Did you mean 'dim'?",
            "f() got an unexpected keyword argument 'dims'",
        ),
    ],
)
def test_expect_error_hides_what_differs_between_runs_and_versions(said, shown, capsys):
    with expect_error(RuntimeError, ""):
        raise RuntimeError(said)
    assert capsys.readouterr().out == f"RuntimeError: {shown}\n"


def test_expect_warning_leaves_out_where_torch_was_built(capsys):
    with expect_warning(UserWarning, "leaf"):
        warnings.warn("a leaf. (Triggered internally at /build/x.h:488.)", stacklevel=1)
    assert capsys.readouterr().out == "UserWarning: a leaf.\n"


def test_expect_warning_prints_and_requires(capsys):
    with expect_warning(UserWarning, "old"):
        warnings.warn("an old way", UserWarning, stacklevel=1)
    assert capsys.readouterr().out == "UserWarning: an old way\n"
    with pytest.raises(AssertionError, match="no UserWarning"), expect_warning(UserWarning, "old"):
        pass


def test_expect_warning_passes_other_warnings_on():
    with (  # noqa: PT031
        pytest.warns(DeprecationWarning, match="other"),
        expect_warning(UserWarning, "old"),
    ):
        warnings.warn("old", UserWarning, stacklevel=1)
        warnings.warn("other", DeprecationWarning, stacklevel=1)


# --- device ------------------------------------------------------------------------------------


def test_pick_device_takes_what_is_there(monkeypatch):
    monkeypatch.delenv("BOOK_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device().type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device().type == "cuda"
    monkeypatch.setenv("BOOK_DEVICE", " cpu ")
    assert pick_device().type == "cpu"


def test_pick_device_refuses_cuda_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("BOOK_DEVICE", "cuda:0")
    assert pick_device() == torch.device("cuda:0")
    monkeypatch.setenv("BOOK_DEVICE", "cuda:1")
    with pytest.raises(RuntimeError, match="sees 1 CUDA devices: unset BOOK_DEVICE"):
        pick_device()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("BOOK_DEVICE", "cuda")
    with pytest.raises(RuntimeError, match="sees 0 CUDA devices"):
        pick_device()


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:x"])
def test_pick_device_refuses_other_names(monkeypatch, name):
    monkeypatch.setenv("BOOK_DEVICE", name)
    with pytest.raises(ValueError, match="use cpu, cuda or cuda:1"):
        pick_device()


# --- memory and tables -----------------------------------------------------------------------


def test_shares_storage():
    x = torch.zeros(3, 4)
    assert shares_storage(x, x[1:, 2:])
    assert not shares_storage(x, x.clone())
    assert not shares_storage(torch.zeros(0), torch.zeros(0))


def test_sharing_gives_one_letter_to_one_storage(shown):
    x = torch.zeros(2, 3)
    sharing(x=x, t=x.t(), copy=x.clone())
    lines = shown[0][0]["text/plain"].splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["A", "A", "B"]
    assert "(1, 3)" in lines[2]


def test_table_writes_yes_no_and_dashes(shown):
    table([{"a": True, "b": None}, {"a": False, "b": "<x>"}], "Two rows.")
    bundle = shown[0][0]
    assert bundle["text/plain"] == "a    b\nyes  –\nno   <x>\nTwo rows."
    assert "<td" in bundle["text/html"]
    assert "&lt;x&gt;" in bundle["text/html"]


def test_table_refuses_no_rows_and_other_columns():
    with pytest.raises(ValueError, match="at least one row"):
        table([])
    with pytest.raises(ValueError, match="row 1 has the columns"):
        table([{"a": 1}, {"b": 1}])


# --- figures -------------------------------------------------------------------------------------


def test_a_figure_is_one_output_with_picture_caption_and_alt(shown):
    figure, axes = figures.canvas(4, 2)
    axes.plot([0, 1, 2], [0, 1, 4])
    axes.set_title("squares")
    figures.show(figure, "The `y` grows.", "A curve that bends upwards from 0 to 4")
    (bundle, metadata), facts = shown[0], shown[0][1]["figure"]["facts"]
    assert set(bundle) == {"text/html", "text/plain"}
    assert 'alt="A curve that bends upwards from 0 to 4"' in bundle["text/html"]
    assert "<figcaption" in bundle["text/html"]
    assert "The <code>y</code> grows." in bundle["text/html"]
    assert metadata["figure"]["caption"] == "The `y` grows."
    assert facts[0]["title"] == "squares"
    assert facts[0]["drawn"]["Line2D"] == ["3x2 0 4 1.33"]
    assert picture_of(shown[0]).size == (4 * 144, 2 * 144)


def test_drawing_twice_gives_the_same_bytes(shown):
    for _ in range(2):
        draw.grid(torch.arange(6).reshape(2, 3), caption="Six numbers.")
    assert shown[0] == shown[1]


def test_a_readers_matplotlibrc_changes_nothing(shown):
    import matplotlib

    draw.grid(torch.arange(4), caption="Four numbers.")
    with matplotlib.rc_context({"savefig.dpi": 50, "font.size": 20, "axes.facecolor": "black"}):
        draw.grid(torch.arange(4), caption="Four numbers.")
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    ("caption", "alt", "cause"),
    [
        ("no full stop", "a long enough description", "full stop"),
        ("A caption.", "short", "at least 20 characters"),
    ],
)
def test_show_refuses_a_figure_without_words(caption, alt, cause):
    figure, _ = figures.canvas()
    with pytest.raises(ValueError, match=cause):
        figures.show(figure, caption, alt)


def test_show_refuses_data_that_are_not_finite():
    figure, axes = figures.canvas()
    axes.plot([0, 1], [0, float("nan")])
    with pytest.raises(ValueError, match="not finite"):
        figures.show(figure, "A line.", "a line that has a hole in it")


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours as WCAG 2 defines it."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_is_readable_on_every_ground():
    places = [draw._shade(place, 24) for place in range(24)]
    for ground in (figures.PAPER, *draw.TINTS, *places):
        assert contrast(figures.INK, ground) >= 7
    for line in figures.CYCLE[:1] + figures.CYCLE[2:4]:
        assert contrast(line, figures.PAPER) >= 3


# --- drawings ----------------------------------------------------------------------------------


def texts_of(output: tuple[dict, dict]) -> list[str]:
    return [text for axes in output[1]["figure"]["facts"] for text in axes["texts"]]


def test_grid_writes_every_value(shown):
    draw.grid(torch.arange(6).reshape(2, 3), torch.tensor([True, False]), caption="Two.")
    assert texts_of(shown[0]) == ["0", "1", "2", "3", "4", "5", "T", "F"]
    assert "[[0, 1, 2], [3, 4, 5]]" in shown[0][1]["figure"]["alt"]


def test_alt_text_has_no_more_digits_than_the_drawing(shown):
    third = torch.tensor([1 / 3, 2.0])
    draw.grid(third, caption="A third.")
    draw.storage("A third.", third=third)
    for _, metadata in shown:
        assert "[0.333, 2]" in metadata["figure"]["alt"]


def test_grid_names_rows_and_columns(shown):
    board = torch.eye(2, 3).bool()
    draw.grid(board, board, caption="Two.", labels=(["one", "two"], ["a", "b", "c"]))
    figure = shown[0][1]["figure"]
    assert figure["alt"].endswith("Rows: one, two. Columns: a, b, c.")
    assert [text for text in figure["facts"][0]["texts"] if len(text) > 1] == ["one", "two"] * 2
    with pytest.raises(ValueError, match=r"2 row and 3 column labels for a tensor \(3, 2\)"):
        draw.grid(board.T, caption="No.", labels=(["one", "two"], ["a", "b", "c"]))


def test_grid_writes_whole_floats_in_full(shown):
    draw.grid(torch.tensor([1002.0, 1002.4, -0.125, 1e6]), caption="Four floats.")
    assert "[1002, 1e+03, -0.125, 1e+06]" in shown[0][1]["figure"]["alt"]


def test_grid_draws_pages_scalars_and_gradients(shown):
    pages = torch.arange(8.0, requires_grad=True).reshape(2, 2, 2)
    draw.grid(pages, torch.tensor(1.5), caption="Three dimensions, and none.", titles=["p", "s"])
    assert {"[0]", "[1]", "1.5", "7"} <= set(texts_of(shown[0]))


@pytest.mark.parametrize(
    ("tensors", "options", "cause"),
    [
        ([torch.zeros(1, 1, 1, 1)], {}, "at most 3 dimensions"),
        ([torch.zeros(30, 30)], {}, "900 cells are too many"),
        ([torch.zeros(2)], {"titles": ["a", "b"]}, "1 tensors, 2 titles"),
        ([torch.zeros(2)], {"highlight": torch.zeros(3, dtype=torch.bool)}, "highlight"),
    ],
)
def test_grid_refuses_what_cannot_be_read(tensors, options, cause):
    with pytest.raises(ValueError, match=cause):
        draw.grid(*tensors, caption="No.", **options)


def test_moves_draws_an_arrow_for_each_cell_that_was_taken(shown):
    x = torch.arange(6).reshape(2, 3) * 10
    index = torch.tensor([[0, 2], [1, 1]])
    taken = torch.arange(6).reshape(2, 3).gather(1, index)
    draw.moves(x, x.gather(1, index), taken=taken, caption="Taken.", titles=["x", "gathered"])
    alt = shown[-1][1]["figure"]["alt"]
    assert "Arrows from source cell to result cell: 0 to 0, 2 to 1, 4 to 2, 4 to 3." in alt
    assert "gathered of shape (2, 2): [[0, 20], [40, 40]]" in alt


def test_moves_draws_where_values_were_put_through_several_results(shown):
    x, parts = torch.arange(5), torch.arange(5).split(3)
    put = torch.tensor([0, 1, -1, 3, 4])
    for below in (False, True):
        draw.moves(x, parts, put=put, caption="Put.", titles=["x", "a", "b"], below=below)
        alt = shown[-1][1]["figure"]["alt"]
        assert alt.endswith("0 to 0, 1 to 1, 3 to 3, 4 to 4.")


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({}, "one of the two"),
        ({"taken": torch.zeros(3, dtype=int), "put": torch.zeros(2, dtype=int)}, "one of the two"),
        ({"taken": torch.zeros(2, dtype=int)}, r"places \[\(2,\)\] for shapes \[\(3,\)\]"),
        ({"taken": torch.tensor([0, 1, 2])}, "from 0 to 2, but there are 2 cells"),
        ({"put": torch.tensor([0, 1]), "titles": ["x"]}, "1 titles for 2 tensors"),
    ],
)
def test_moves_refuses_places_that_do_not_fit(options, cause):
    with pytest.raises(ValueError, match=cause):
        draw.moves(torch.arange(2), torch.arange(3), caption="No.", **options)


def test_moves_refuses_what_cannot_be_read():
    with pytest.raises(ValueError, match="at most 2 dimensions"):
        draw.moves(torch.zeros(1, 1, 1), torch.zeros(1), taken=torch.tensor([0]), caption="No.")
    with pytest.raises(ValueError, match="41 arrows"):
        draw.moves(torch.zeros(41), torch.zeros(41), taken=torch.arange(41), caption="No.")


def test_storage_numbers_the_places_of_each_view(shown):
    x = torch.arange(6).reshape(2, 3)
    draw.storage("Two views.", x=x, last=x[:, 2])
    alt = shown[0][1]["figure"]["alt"]
    assert "last: shape (2,), shows places [2, 5]" in alt


def test_storage_refuses_two_storages_and_a_large_one():
    with pytest.raises(ValueError, match="b is not on the storage of a"):
        draw.storage("No.", a=torch.zeros(2), b=torch.zeros(2))
    with pytest.raises(ValueError, match="a storage of 25 elements"):
        draw.storage("No.", a=torch.zeros(25))
    with pytest.raises(ValueError, match="at least one tensor"):
        draw.storage("No.")


def test_graph_names_functions_and_leaves(shown):
    a = torch.tensor(2.0, requires_grad=True)
    b = torch.tensor(3.0, requires_grad=True)
    y = a * b
    z = y + a**2
    draw.graph(z, caption="A graph.", names={"a": a, "b": b, "y": y, "z": z}, gradients=True)
    texts = texts_of(shown[0])
    assert {"a\n2", "b\n3", "MulBackward0\n→ y", "PowBackward0", "AddBackward0", "z\n10"} <= set(
        texts
    )
    # dz/da comes in two parts, 3 along the product and 4 along the square; dz/db is 2.
    assert {"3", "4", "2", "1"} <= set(texts)
    assert a.grad is None
    z.backward()
    assert a.grad == 7


def test_graph_is_drawn_the_same_in_every_process():
    code = (
        "import torch, hashlib, IPython.display as d; out = [];\n"
        "d.display = lambda b, metadata, raw: out.append(b['text/html'])\n"
        "from helpers import draw\n"
        "a, b, c = (torch.tensor(v, requires_grad=True) for v in (1., 2., 3.))\n"
        "draw.graph((a * b + c).exp() * (b - c) + a / c, caption='A graph.')\n"
        "print(hashlib.sha256(out[0].encode()).hexdigest())"
    )
    digests = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1
    assert digests != {""}


def test_graph_refuses_a_leaf_and_a_deep_graph():
    x = torch.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match="without grad_fn"):
        draw.graph(x, caption="No.")
    deep = x
    for _ in range(12):
        deep = deep + 1
    with pytest.raises(ValueError, match="steps deep"):
        draw.graph(deep, caption="No.")


def test_window_takes_its_size_from_torch(shown):
    draw.window(6, 3, outputs=[(0, 0), (1, 1)], stride=2, caption="A stride of two.")
    alt = shown[0][1]["figure"]["alt"]
    assert "output 2 by 2" in alt
    assert "11 input cells are never read" in alt


def test_window_refuses_what_does_not_exist():
    with pytest.raises(ValueError, match=r"output cell \(2, 0\): the output is \(2, 2\)"):
        draw.window(6, 3, outputs=[(2, 0)], stride=2, caption="No.")
    with pytest.raises(RuntimeError, match="Kernel size"):
        draw.window(2, 3, outputs=[(0, 0)], caption="No.")


def test_timeline_keeps_the_order(shown):
    draw.timeline([("net", "pre"), ("net", "forward"), ("relu", "forward")], "Three events.")
    axes = shown[0][1]["figure"]["facts"][0]
    assert axes["texts"] == ["pre", "forward", "forward"]
    draw.timeline([("b", "x"), ("a", "y")], "Two lanes.", lanes=["a", "b"])
    with pytest.raises(ValueError, match=r"events on \['b'\], but the lanes are \['a'\]"):
        draw.timeline([("b", "x")], "No.", lanes=["a"])
    with pytest.raises(ValueError, match="not after its start"):
        draw.timeline([("a", "b", 3, 3)], "No.")
    with pytest.raises(ValueError, match="at least one event"):
        draw.timeline([], "No.")


def test_pictures_of_every_kind(shown):
    draw.pictures(
        [torch.zeros(3, 4, 6), torch.zeros(4, 6, dtype=torch.uint8), Image.new("RGBA", (6, 4))],
        "Three pictures.",
        "three black rectangles side by side",
        titles=["a", "b", "c"],
    )
    assert [axes["title"] for axes in shown[0][1]["figure"]["facts"]] == ["a", "b", "c"]


def test_pictures_of_a_batch(shown):
    draw.pictures(torch.zeros(2, 1, 4, 6), "Two pictures.", "two black rectangles side by side")
    assert len(shown[0][1]["figure"]["facts"]) == 2


@pytest.mark.parametrize(
    ("image", "cause"),
    [
        (torch.zeros(4, 6, 3), "an image is"),
        (torch.full((4, 6), 2.0), "scale them to 0 to 1"),
    ],
)
def test_pictures_refuse_what_is_no_image(image, cause):
    with pytest.raises(ValueError, match=cause):
        draw.pictures([image], "No.", "nothing that could be seen")
