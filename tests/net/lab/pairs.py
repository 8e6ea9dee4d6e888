"""Makes tests for pairs of kinds of sites."""


def add_tests(case, what, pairs, test_of):
    """Gives a class a test for each pair, which `test_of` makes."""
    for pair in pairs:
        name = f"test {what} {' meets '.join(pair)}"
        setattr(case, name.replace(" ", "_"), test_of(pair))
