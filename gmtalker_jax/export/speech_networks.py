"""Google's speech_embedding out of its ONNX files, for the twin in gmtalker_torch/speech.py."""

import numpy as np

from gmtalker_jax.io import carriers


def embedding() -> dict[str, np.ndarray]:
  """The state dictionary of `SpeechEmbedding`.

  Raises InputError: the package that carries the networks is not installed.
  """
  import onnx
  from onnx import numpy_helper

  mel, network = (
    {i.name: numpy_helper.to_array(i) for i in onnx.load_from_string(data).graph.initializer}
    for data in carriers.speech_embedding()
  )
  state = {
    'real.weight': mel['0.stft.conv_real.weight'],
    'imaginary.weight': mel['0.stft.conv_imag.weight'],
    'mel': mel['1.melW'],
    'last.weight': network['model/conv2d_19/Conv2D/ReadVariableOp:0'],
  }
  for number in range(19):
    layer = 'model/conv2d' + (f'_{number}' if number else '')
    # After the first one, (1, 3) and (3, 1) take turns.
    kind = 'wide' if number % 2 else 'high'
    twin = f'{kind}.{(number - 1) // 2}' if number else 'first'
    state[f'{twin}.weight'] = network[f'{layer}/Conv2D_weights_fused_bn']
    state[f'{twin}.bias'] = network[f'{layer}/Conv2D_bias_fused_bn']
  return {name: np.ascontiguousarray(value, np.float32) for name, value in state.items()}
