"""What a file needs stands at its top, and what it may do is bounded by its room."""

import ast

# (file, function) → why it imports late. For a heavy optional dependency only.
LATE_IMPORTS: dict[tuple[str, str], str] = {
    ("providers/seed.py", "seed_models"): "genai-prices: a tenth of a second and eleven megabytes, only for seeding",
    ("providers/seed.py", "_dearest"): "the same",
    ("store/open.py", "_upgrade"): "Alembic: only for a database whose schema is not the newest",
}

# Files that use the standard streams outside the command line, with the reason.
WRITES_OUT = {
    "providers/local/convert.py": "a program for another environment, whose output the gateway reads as progress",
    "providers/local/supervisor.py": "a program of its own, which tells its pid to the process that started it",
}

# Calls that need no forbidden import, and still read a file or the clock.
ASKS_THE_WORLD = {"open", "now", "utcnow", "today"}


def test_imports_stand_at_the_top(modules):
    late = set()
    for module in modules:
        for function in module.functions():
            if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function)):
                late.add((module.name, function.name))
    assert late == LATE_IMPORTS.keys()


def test_printing_lives_in_the_command_line(modules):
    printing = []
    for module in modules:
        if module.name.startswith("cli/") or module.name in WRITES_OUT:
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name) and node.id == "print":
                printing.append(f"{module.name}:{node.lineno} print")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout", "sys.stderr"}:
                printing.append(f"{module.name}:{node.lineno} {ast.unparse(node)}")
    assert not printing


def test_the_domain_waits_for_nothing_and_asks_no_clock(modules):
    """The import contract forbids clocks and I/O as modules; this finds those that need no import."""
    impure = []
    for module in modules:
        if not module.name.startswith("domain/"):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith):
                impure.append(f"{module.name}:{node.lineno} await")
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ASKS_THE_WORLD:
                impure.append(f"{module.name}:{node.lineno} {ast.unparse(node.func)}")
    assert not impure
