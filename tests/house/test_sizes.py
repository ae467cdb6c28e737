"""The largest file and the longest function are the ones to watch, not the average."""

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

# file → its own bound, with the reason. A bound is for what is there, not for growth.
LARGER_FILES: dict[str, int] = {}


def test_no_file_is_longer_than_is_read_in_one_sitting(modules):
    lines = {module.name: module.text.count("\n") for module in modules}
    too_long = {name: count for name, count in lines.items() if count > LARGER_FILES.get(name, FILE_LINES_MAX)}
    assert not too_long


def test_no_exception_outlives_its_reason(modules):
    lines = {module.name: module.text.count("\n") for module in modules}
    assert not [name for name in LARGER_FILES if lines.get(name, 0) <= FILE_LINES_MAX]


def test_no_function_is_longer_than_a_page(modules):
    too_long = {}
    for module in modules:
        for function in module.functions():
            count = function.end_lineno - function.lineno + 1
            if count > FUNCTION_LINES_MAX:
                too_long[f"{module.name}:{function.lineno} {function.name}"] = count
    assert not too_long
