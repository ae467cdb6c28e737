"""What the gateway answers, as objects with attributes."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel


class Record(BaseModel):
    """A JSON object of the gateway, by the names that it has there. Fields that are not named here are kept."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    @classmethod
    def read(cls, value: dict[str, Any]) -> Self:
        """Read a JSON object. One that is not as it should be is read nevertheless: its fields are as they came."""
        try:
            return cls.model_validate(value)
        except ValidationError:
            return cls.model_construct(**value)


class CamelRecord(Record):
    """The same of the catalog, whose names are `likeThis` in JSON and `like_this` here."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
