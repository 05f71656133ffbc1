"""The workbench for experts: what runs slowly and why, which network fits a budget, and trainings compared."""
