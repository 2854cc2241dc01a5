"""What `bench/plan.py` plans: a large conference at rest."""
