import numpy as np
import torch

from darknet_py.filling import read_into


def test_a_tensor_is_filled_from_the_middle_of_a_file(tmp_path):
    path = tmp_path / "floats"
    values = np.arange(24, dtype="<f4")
    path.write_bytes(b"head" + values.tobytes())
    tensor = torch.empty(2, 3, 2)
    with open(path, "rb", buffering=0) as file:
        assert read_into(tensor, file, 4 + 5 * 4)
        assert tensor.flatten().tolist() == list(range(5, 17))
        assert not read_into(torch.empty(25), file, 4)
        assert not read_into(torch.empty(3, 2).t(), file, 4)
        assert not read_into(torch.empty(3, dtype=torch.float64), file, 4)
