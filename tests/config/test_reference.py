from joytoken.config.fields import fields
from joytoken.config.reference import reference


def test_the_page_is_in_step_with_the_settings(repository):
    assert (repository / "docs/configuration.md").read_text() == reference(), "run: joytoken config reference"


def test_the_page_names_every_setting_and_its_variable():
    page = reference()
    for field in fields().values():
        assert f"`{field.path[-1]}`" in page
        assert f"`{field.env}`" in page
