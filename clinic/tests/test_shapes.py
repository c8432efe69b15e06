"""Fields that are made once a class belong to each serializer as if they had been made for it."""

from typing import Any

from rest_framework import serializers

from clinic.api.shapes import Shape


class Inner(Shape, serializers.Serializer[Any]):
    number = serializers.SerializerMethodField()

    def get_number(self, row: Any) -> Any:
        return row * self.context["times"]


class Outer(Shape, serializers.Serializer[Any]):
    first = Inner(source="one")
    others = Inner(many=True)
    words = serializers.ListField(child=serializers.CharField(max_length=3))


def test_each_serializer_has_its_own_context() -> None:
    row = {"one": 2, "others": [1, 2], "words": ["a"]}
    twice, thrice = Outer(row, context={"times": 2}), Outer(row, context={"times": 3})
    assert twice.fields is not thrice.fields
    assert thrice.data == {"first": {"number": 6}, "others": [{"number": 3}, {"number": 6}], "words": ["a"]}
    assert twice.data == {"first": {"number": 4}, "others": [{"number": 2}, {"number": 4}], "words": ["a"]}


def test_what_one_is_told_another_does_not_know() -> None:
    class Told(Shape, serializers.Serializer[Any]):
        words = serializers.ListField(child=serializers.CharField(max_length=3))

    bad, good = Told(data={"words": ["long one"]}), Told(data={"words": ["ok"]})
    assert not bad.is_valid()
    assert good.is_valid()
    assert bad.errors
    assert good.validated_data == {"words": ["ok"]}
    for one in (bad, good):
        words: Any = one.fields["words"]
        assert words.parent is one
        assert words.child.parent is words
