from ogp.settings.problems import Problem, SettingsError


def test_a_problem_is_one_line_with_key_value_source_and_message() -> None:
    problem = Problem("server.port", "70000", "config.yaml:3", "must be a whole number")
    assert str(problem) == "server.port = 70000 (config.yaml:3): must be a whole number"


def test_a_problem_without_a_value_leaves_it_out() -> None:
    assert str(Problem("prot", "", "config.yaml:3", "no such key")) == (
        "prot (config.yaml:3): no such key"
    )


def test_the_error_holds_every_problem_and_its_message_all_lines() -> None:
    problems = [Problem("a", "1", "x", "wrong"), Problem("b", "2", "y", "wrong too")]
    error = SettingsError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == "a = 1 (x): wrong\nb = 2 (y): wrong too"
