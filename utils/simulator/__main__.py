"""`python -m utils.simulator`: compile the engine now, so that the first cell need not wait for it."""

from utils.simulator.engine import prepare

if __name__ == "__main__":
    print(f"simulator ready: {prepare()}")
