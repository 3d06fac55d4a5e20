"""The authority: routes, leases, decides, keeps pools alive."""
