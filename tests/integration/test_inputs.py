"""The forms that people bring (`python -m bench inputs`): every one ends well or is refused clearly."""

import pytest

from bench.input_forms.form import Form
from bench.inputs import KINDS, attempt


@pytest.mark.parametrize(
    "form", [pytest.param(form, id=f"{kind}: {form.name}") for kind, forms in KINDS.items() for form in forms.forms()]
)
def test_a_form_ends_well_or_is_refused_clearly(form: Form) -> None:
    ended, said = attempt(form)
    assert ended == ("refused" if form.refused else "well"), said
