"""What runs beside a site's schedulers: its jobs, its power, the plan for them, and what becomes of an order."""
