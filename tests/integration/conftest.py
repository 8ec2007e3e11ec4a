"""What tests of jobs and adapters share."""

from tests.judging import compiled_templates, judge_at_hand

__all__ = ["compiled_templates", "judge_at_hand"]  # pytest takes them from here
