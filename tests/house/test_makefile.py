"""Few verbs, and `make help` lists them all."""

import re


def test_every_verb_is_in_the_help(tracked):
    makefile = tracked["Makefile"]
    verbs = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    helped = re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE)
    assert sorted(helped) == sorted(verbs)


def test_documents_name_only_verbs_that_exist(tracked):
    verbs = set(re.findall(r"^([a-z-]+):.*## \S", tracked["Makefile"], re.MULTILINE))
    named = set()
    for name, text in tracked.items():
        if name.endswith(".md"):
            named |= set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
    assert named <= verbs
