"""A gateway in memory for the tests of your own program: real frames over a real loopback connection.

    async with FakeGrid() as fake, gridsignal.connect(fake.url, token=fake.token, site="fra-1") as grid:
        request = fake.ask(power_w=12 * MW)
        ...
        offer = await fake.next(FlexOffer)
        order = fake.award(offer)
        answer = await fake.next(OrderResponse)

The suite that holds the real gateway to the protocol holds this one to it as well: it keeps deadlines, times and
states, and refuses what the real one refuses by the same rules. It knows no merit order and nobody else's sites: the
test decides who is awarded what, and what breaks when. It settles nothing and makes no reports: `grid.settlements()`,
`grid.matching()`, `grid.fixed_baselines()` and `grid.products()` need a real dispatch door, such as that of
`gridsignal up`.
"""

from gridsignal.testing.clock import ManualClock
from gridsignal.testing.fake import FakeGrid
from gridsignal.testing.records import spot_prices
from gridsignal.testing.site import FakeSite
from gridsignal.testing.world import Refusal

__all__ = ["FakeGrid", "FakeSite", "ManualClock", "Refusal", "spot_prices"]
