"""`python -m utils.simulator`: compile the engine now, so that the first cell need not wait for it."""

from utils.simulator.engine import engine, hot_object, library_path

if __name__ == "__main__":
    engine()
    hot_object()
    print(f"simulator ready: {library_path()}")
