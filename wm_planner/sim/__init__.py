"""The simulated robot: PyBullet behind the interfaces a real robot has."""
