# python sgd.py case.json out.json
import json, sys
from array import array

case = json.load(open(sys.argv[1]))
options = case["options"]
rate, momentum, decay = options["learningRate"], options["momentum"], options["weightDecay"]
p = array("f", map(float, case["inputs"]["p"]["data"]))  # the numbers are binary32
steps, n = case["inputs"]["g"]["shape"]
g = array("f", map(float, case["inputs"]["g"]["data"]))
after, buffer = [], None
for t in range(steps):
    d = [-x if options["maximize"] else x for x in g[t * n:(t + 1) * n]]
    if options["decoupled"]:
        p = [x * (1 - rate * decay) for x in p]
    else:
        d = [y + decay * x for x, y in zip(p, d)]
    if momentum:
        buffer = d if buffer is None else [momentum * b + (1 - options["dampening"]) * y for b, y in zip(buffer, d)]
        d = [y + momentum * b for b, y in zip(buffer, d)] if options["nesterov"] else buffer
    p = [x - rate * y for x, y in zip(p, d)]
    after += p
names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
data = [names.get(str(x), x) for x in after]
json.dump({"outputs": {"p": {"shape": [steps, n], "data": data}}}, open(sys.argv[2], "w"))
