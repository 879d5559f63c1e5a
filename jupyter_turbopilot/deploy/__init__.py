"""Deployment on several machines, behind a load balancer."""
