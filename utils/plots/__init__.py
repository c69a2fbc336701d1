"""The course's pictures: of speed, and of what a traced warp or block does to memory.

Every function returns an IPython Image (PNG on white, readable in light and dark themes and in grey) whose
alt text says in words what there is to see. The same data give the same bytes.
"""

from utils.plots.access import access_map, sectors_chart
from utils.plots.banks import bank_grid
from utils.plots.formats import number_formats
from utils.plots.fragments import fragment_map
from utils.plots.pipeline import Overlap, overlap_chart, stage_timeline
from utils.plots.product import product_map
from utils.plots.registers import reuse_map
from utils.plots.speed import ladder_chart, roofline
from utils.plots.tiles import tile_map
from utils.plots.timeline import thread_timeline

__all__ = [
    "Overlap",
    "access_map",
    "bank_grid",
    "fragment_map",
    "ladder_chart",
    "number_formats",
    "overlap_chart",
    "product_map",
    "reuse_map",
    "roofline",
    "sectors_chart",
    "stage_timeline",
    "thread_timeline",
    "tile_map",
]
