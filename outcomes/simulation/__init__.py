"""Whether verdicts and alerts are true: made-up patients whose relief is known, followed by the real services.

What is true comes from `simulated_patients` alone, what the service says from the database alone: `runs` plays the
patients against a clock of its own, `counts` compares the two, `tables` writes docs/simulation.md. Nothing here judges
a course.
"""
