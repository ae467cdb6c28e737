"""What the gateway answers, as objects with attributes."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from joytoken_sdk.json_value import JsonObject, object_of


class Record(BaseModel):
    """A JSON object of the gateway, by the names that it has there. Fields that are not named here are kept."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    @classmethod
    def read(cls, value: JsonObject) -> Self:
        """Read a JSON object."""
        return cls.model_validate(value)

    @model_validator(mode="wrap")
    @classmethod
    def _as_it_came(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Keep fields that are not as they should be as they came: a newer gateway is no failure."""
        try:
            return handler(value)
        except ValidationError as error:
            fields = object_of(value)
            if fields is None:
                raise
            odd = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]} & fields.keys()
            names = {field.alias or name: name for name, field in cls.model_fields.items()}
            read = handler({name: fields[name] for name in fields.keys() - odd})
            return read.model_copy(update={names.get(name, name): fields[name] for name in odd})


class CamelRecord(Record):
    """The same of the catalog, whose names are `likeThis` in JSON and `like_this` here."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
