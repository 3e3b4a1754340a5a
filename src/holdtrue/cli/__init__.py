"""The command line: one small file per verb. Verbs import what is heavy inside themselves."""
