"""How many images a stage takes."""

from torch import nn

from quant.graph.export import export_graph
from quant.graph.memory import images_enough


def test_the_reconstruction_takes_as_many_images_as_its_hungriest_layer_needs():
    def needed(channels, *last):
        layers = nn.Sequential(nn.Conv2d(3, channels, 3, stride=8, padding=1), nn.Conv2d(channels, 8, 1), *last)
        return images_enough(export_graph(layers.eval(), 16))

    # Four samples for each of 512 inputs, of which an image of 2 x 2 positions gives four.
    assert needed(512) == 513
    # Squeeze-excite's layers see one position: nothing would be enough.
    assert needed(8, nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4096, 1)) == needed(8) == 64
