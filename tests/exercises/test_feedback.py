"""What every check notices by itself, in which forms it takes a right answer, and when it names a cause."""

import importlib
import sys
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

import diffusion_lab.exercises
from diffusion_lab.exercises import feedback
from diffusion_lab.exercises.feedback import Wrong, agree, answers, diagnosed, letters, require_letters, results

X = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
SQUARED, DOUBLED = "you squared a", "you doubled a"


def right(x, a):
    return a * x


def raises(error):
    raise error


@answers
def check_scaled(attempt):
    causes = [(SQUARED, lambda x, a: a**2 * x), (DOUBLED, lambda x, a: 2 * a * x)]
    diagnosed(attempt, right, causes, "Multiply x by a.", [(X, 2.0), (X + 1, 3.0)])
    return "Scaled."


@answers
def check_two(attempt):
    diagnosed(attempt, lambda n: (n + 1, n / 4), [("swapped", lambda n: (n / 4, n + 1))], "Two.", [(3,), (5,)])
    return "Both."


@pytest.fixture
def said(capsys):
    def said(check, attempt):
        check(attempt)
        return capsys.readouterr().out.rstrip()

    return said


@pytest.mark.parametrize("form", [
    lambda y: y, lambda y: y.numpy(), lambda y: y.tolist(), lambda y: tuple(y.tolist()), lambda y: y.int().tolist(),
    lambda y: list(y), lambda y: y.clone().requires_grad_(), lambda y: y.float().double() / 3 * 3,
])
def test_a_right_answer_is_right_in_any_form(said, form):
    assert said(check_scaled, lambda x, a: form(a * x)) == "Correct. Scaled."


@pytest.mark.parametrize("form", [
    lambda n: (n + 1, n / 4), lambda n: [np.int64(n + 1), np.float64(n / 4)],
    lambda n: (n + 1, torch.tensor(n / 4, dtype=torch.float64)),
])
def test_so_are_several_results(said, form):
    assert said(check_two, form) == "Correct. Both."


@pytest.mark.parametrize(("attempt", "words"), [
    (lambda x, a: None, "returned None"),
    (lambda x, a: "text", "returned str"),
    (lambda x, a: [[1.0], [1.0, 2.0]], "returned list"),
    (lambda x, a: a * x[:2], "should be (3,), but yours is (2,)"),
    (lambda x, a: 6.0, "should be (3,), but yours is ()"),
    (lambda x, a: (a * x).float(), "should be float64, but yours is float32"),
    (lambda x, a: (a * x).numpy().astype("float32"), "should be float64, but yours is float32"),
    (lambda x, a: (a * x).long(), "should be float64, but yours is int64"),
    (lambda x, a: (a * x).to(torch.complex128), "should be float64, but yours is complex128"),
    (lambda x, a: (a * x).bfloat16() + 1, "should be float64, but yours is bfloat16"),
    (lambda x, a: a * x.sqrt(), "NaN"),
    (lambda x, a: a * x + torch.rand(3), "two calls with the same numbers"),
    (lambda x, a: x.mul_(a), "changed x itself"),
    (lambda x, a: sys.exit(), "left Python (SystemExit)"),
    (lambda x, a: 1 / 0, "stopped with ZeroDivisionError"),
    (lambda x, a: torch.sqrt(a) * x, "For the root of a plain number write x ** 0.5."),
    (lambda x, a: raises(ValueError("math domain error")), "the root of a negative number"),  # Python 3.14 is clearer
    (lambda x: x, "stopped with TypeError"),
    (lambda x, a: a**2 * x, SQUARED),
    (lambda x, a: (a**2 * x).float(), SQUARED),
    (lambda x, a: (a**2 * x).tolist(), SQUARED),
    (lambda x, a: 4 * x, "Multiply x by a. With x = [1, -2, 3], a = 2, entry [2] should be 6, but yours is 12."),
    (lambda x, a: 1.00004 * a * x, "entry [2] should be 6, but yours is 6.00024."),
    (lambda x, a: a * x + (a == 3), "With x = [2, -1, 4], a = 3, entry [0] should be 6, but yours is 7."),
])
def test_what_is_wrong_is_said(said, attempt, words):
    answer = said(check_scaled, attempt)
    assert answer.startswith("Not yet: ")
    assert words in answer


def test_a_cause_that_does_not_hold_for_all_numbers_is_not_named(said):
    answer = said(check_scaled, lambda x, a: 4 * x)  # for a = 2 it is the square, and twice the right one
    assert SQUARED not in answer
    assert DOUBLED not in answer


@answers
def check_quarter(attempt):
    diagnosed(attempt, lambda n: n / 4, [], "A quarter.", [(3,), (5,)], tolerance=0.01)
    return "A quarter."


@pytest.mark.parametrize("form", [float, np.float32, np.array, torch.tensor, lambda x: torch.tensor([x]), lambda x: [x],
                                  lambda x: np.array([[x]], dtype=np.float32), lambda x: 1.009 * x])
def test_where_one_number_is_due_a_tensor_or_array_of_one_is_it(said, form):
    assert said(check_quarter, lambda n: form(n / 4)) == "Correct. A quarter."


@pytest.mark.parametrize(("form", "words"), [
    (lambda x: torch.tensor([x, x]), "the shape should be (), but yours is (2,)"),
    (complex, "should be float64, but yours is complex128"),
    (lambda x: torch.tensor([x]).long(), "should be float64, but yours is int64"),
    (lambda x: {"x": x}, "your function returned dict"), (str, "your function returned str"),
    (lambda x: 1.011 * x, "the result should be 0.75, but yours is 0.758"),
])
def test_and_nothing_else_is(said, form, words):
    assert words in said(check_quarter, lambda n: form(n / 4))


@pytest.mark.parametrize(("attempt", "words"), [
    (lambda n: n + 1, "2 results were expected"),
    (lambda n: {"more": n + 1, "less": n / 4}, "in this order, as in `return a, b`; your function returned dict."),
    (lambda n: {n + 1, n / 4}, "returned set"),
    (lambda n: "ab", "returned str"),
    (lambda n: (x for x in (n + 1, n / 4)), "returned generator"),
    (lambda n: torch.tensor(n), "returned Tensor."),
    (lambda n: torch.ones(3), "returned Tensor of shape (3,)."),
    (lambda n: (torch.tensor([n / 4]).min(0), n / 4), "take the .values"),
    (lambda n: (n + 1, n / 4, 0), "as in `return a, b`; your function returned 3 results."),
    (lambda n: (n + 1,), "your function returned 1 result."),
    (lambda n: [n + 1, None], "entry 1 of the 2 in a list that your function returned is None"),
    (lambda n: (n / 4, n + 1), "returned float"),
    (lambda n: (True, n / 4), "returned bool"),
    (lambda n: (n + 1, n / 5), "With n = 3, result 2 should be 0.75, but yours is 0.6."),
])
def test_what_is_wrong_with_one_of_several_is_said(said, attempt, words):
    assert words in said(check_two, attempt)


def test_an_exercise_about_digits_refuses_those_of_float32(said):
    @answers
    def check_thirds(attempt):
        diagnosed(attempt, lambda x: x / 3, [], "Divide.", [(X,), (X + 1,)], tolerance=1e-9)
        return "Thirds."

    assert said(check_thirds, lambda x: (x + x) / 6) == "Correct. Thirds."
    answer = said(check_thirds, lambda x: (x.float() / 3).double())
    assert "first digits are right: entry [1] should be -0.666666666667, but yours is -0.666666686535" in answer


@answers
def check_halves(attempt):
    diagnosed(attempt, lambda n: torch.arange(n) // 2, [("not cut", lambda n: torch.arange(n) / 2)], "Halve.",
              [(5,), (6,)])
    return "Halves."


@pytest.mark.parametrize(("form", "words"), [
    (lambda n: [k // 2 for k in range(n)], "Correct."),
    (lambda n: [np.int64(k // 2) for k in range(n)], "Correct."),
    (lambda n: [k / 2 for k in range(n)], "not cut"),  # nothing is cut off on the way to the comparison
    (lambda n: [float(k // 2) for k in range(n)], "should be int64, but yours is float64"),
    (lambda n: [k // 3 for k in range(n)], "Halve. With n = 5, entry [2] should be 1, but yours is 0."),
])
def test_where_whole_numbers_are_due_fractions_are_seen(said, form, words):
    assert words in said(check_halves, form)


def test_a_coarse_check_compares_causes_as_coarsely(said):
    @answers
    def check_coarse(attempt):
        diagnosed(attempt, right, [(SQUARED, lambda x, a: a**2 * x)], "Multiply.", [(X, 2.0), (X, 3.0)], tolerance=1e-3)
        return "Coarse."

    assert said(check_coarse, lambda x, a: 1.0001 * a * x) == "Correct. Coarse."
    assert SQUARED in said(check_coarse, lambda x, a: 1.0001 * a**2 * x)


def test_an_answer_that_changes_its_input_spoils_nothing(said):
    kept = X.clone()
    said(check_scaled, lambda x, a: x.zero_())
    assert torch.equal(X, kept)
    assert said(check_scaled, right) == "Correct. Scaled."


def test_what_a_function_returned_is_not_the_function(said):
    assert "hand over the function itself" in said(check_scaled, 3.0)


def test_a_list_that_an_answer_changes_is_noticed(said):
    @answers
    def check_list(attempt):
        diagnosed(attempt, lambda times: sum(times), [], "Add up.", [([1, 2],), ([3, 4],)])
        return "Added."

    assert "changed times itself" in said(check_list, lambda times: (sum(times), times.append(0))[0])
    assert said(check_list, sum) == "Correct. Added."


@pytest.mark.parametrize("form", [torch.tensor, np.array, np.int32, lambda n: torch.tensor(n, dtype=torch.int32),
                                  lambda n: np.array([n]), lambda n: torch.tensor([[n]])])
def test_a_whole_number_counts_in_any_form(form, said):
    @answers
    def check_count(attempt):
        diagnosed(attempt, lambda n: n + 1, [], "One more.", [(3,), (5,)])
        return "Counted."

    assert said(check_count, lambda n: form(n + 1)) == "Correct. Counted."
    assert "returned 2 numbers" in said(check_count, lambda n: np.array([n, n]))
    assert "a whole number (int)" in said(check_count, lambda n: torch.tensor(n + 1.0))


@pytest.mark.parametrize("given", ["ab", "A, B", "a and b", ["B", "A"], {"A", "B"}, np.array(["A", "B"]),
                                   {"A": True, "B": True, "C": False}])
def test_letters_may_stand_in_any_form(given):
    assert letters(given, "ABC") == {"A", "B"}


@pytest.mark.parametrize(("given", "words"), [("ABD", "letters from A to C"), (3, "returned int"), (None, "`return`")])
def test_what_is_no_letter_is_said(given, words):
    with pytest.raises(Wrong, match=words):
        letters(given, "ABC")


REASONS = {"A": "A follows.", "B": "B does not.", "C": "C does not: {that} is no field."}


@pytest.mark.parametrize(("given", "words"), [("", "^A follows.$"), ("AC", "^C does not: {that} is no field.$"),
                                              ("AB", "^B does not.$"), ("B", "^2 letters"), ("BC", "^3 letters")])
def test_of_several_wrong_letters_only_the_number_is_told(given, words):
    with pytest.raises(Wrong, match=words):
        require_letters(given, "A", REASONS)
    require_letters("A", "A", REASONS)


def test_a_sentence_is_a_template_with_named_fields():
    assert str(Wrong("variance {given:.2f}", given=1.234)) == "variance 1.23"
    assert str(Wrong("ᾱ_{t-1} as it stands")) == "ᾱ_{t-1} as it stands"


class Asked(Exception):
    """A check has come to what is no table, and calls the reader's function itself."""


def tables():
    """(name of the check, right, causes, numbers) of each check that is a table, or begins with one."""
    found = []

    def noted(attempt, right, causes, otherwise, numbers, tolerance=None):
        found.append((name, right, causes, numbers))

    def asked(*_):
        raise Asked

    for path in sorted(Path(diffusion_lab.exercises.__file__).parent.glob("*.py")):
        module = importlib.import_module(f"diffusion_lab.exercises.{path.stem}")
        if path.stem != "feedback" and hasattr(module, "diagnosed"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "diagnosed", noted)
                for name, check in vars(module).items():
                    if name.startswith("check_"):
                        with suppress(Asked):
                            check.__wrapped__(asked)
    return found


@pytest.mark.parametrize(("check", "right", "causes", "numbers"), tables(), ids=lambda value: str(value)[:30])
def test_the_numbers_of_a_table_tell_all_its_causes_apart(check, right, causes, numbers):
    assert len(numbers) >= 2
    rows = [("right", right), *causes]
    values = [(cause, [results(function(*case)) for case in numbers]) for cause, function in rows]
    for (one, ones), (other, others) in combinations(values, 2):
        same = all(agree(mine, due, feedback.NEARLY) for mine, due in zip(ones, others))
        assert not same or one == other, f"{one!r} and {other!r} give the same numbers"
