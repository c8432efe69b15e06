"""Whether verdicts and alerts are true: made-up patients whose relief is known, followed by the real services.

What is true comes from `people` alone, what the service says from the database alone: `running` plays the patients
against a clock of its own, `counting` compares the two, `page` writes docs/simulation.md. Nothing here judges a course.
"""
