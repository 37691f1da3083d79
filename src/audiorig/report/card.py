"""The card of a model folder: what it is, how to load it, what it was trained on."""

from huggingface_hub import ModelCard, ModelCardData

from audiorig.config import CorpusSection, Run
from audiorig.report.inputs import W2V_LEARNT, w2v_target

TEXT = """---
{{ card_data }}
---

# {{ name }}

A {{ kind }} model of [audiorig](https://github.com/audiorig/audiorig), trained on: {{ corpus }} ({{ license }}).
{{- w2v_learnt }}

```python
import audiorig.models  # makes the class known; no remote code is run
from transformers import AutoModel

model = AutoModel.from_pretrained("path/to/this/folder").eval()
output = model.encode(waveform, lengths)  # float32 (B, T) at {{ rate }} Hz, int64 (B,)
output.features, output.is_padding        # (B, N, D), (B, N)
```

`final.ckpt` beside this folder holds the same weights with all settings and what made them; the scores, with their
controls, are in the run's report.
"""


def model_card(name: str, run: Run, corpus: CorpusSection) -> str:
    """README.md of the model folder."""
    learnt = W2V_LEARNT.get(w2v_target(run))
    data = ModelCardData(library_name="transformers", tags=["audio", "self-supervised", run.experiment])
    card = ModelCard.from_template(
        data,
        template_str=TEXT,
        name=name,
        kind=run.experiment,
        corpus=corpus.title or run.data.corpus,
        license=corpus.license,
        rate=run.data.sample_rate_hz,
        w2v_learnt=f"\nIts w2v decoder learnt {learnt}." if learnt else "",
    )
    return str(card)
