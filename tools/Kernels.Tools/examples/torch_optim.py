# python torch_optim.py sgd|adam|adamw|adagrad|rmsprop case.json out.json: the optimizers of torch.optim
import json, sys
import numpy, torch

name, path, out = sys.argv[1:]
case = json.load(open(path))
options = case["options"]
ours = {  # what PyTorch calls our options
    "learningRate": "lr", "weightDecay": "weight_decay", "epsilon": "eps", "learningRateDecay": "lr_decay",
    "initialAccumulator": "initial_accumulator_value",
}
decoupled, rule = options.pop("decoupled"), options.pop("amsgradRule", "torch")
if "beta1" in options:
    name = "adamw" if decoupled else "adam"
    options["betas"] = options.pop("beta1"), options.pop("beta2")
elif decoupled:
    rule = "none"
if rule != "torch":  # what PyTorch does not have, it does not take
    json.dump({"outputs": None}, open(out, "w"))
    sys.exit()
make = {
    "sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
}[name]
p, g = (
    torch.from_numpy(numpy.array(t["data"], numpy.float32).reshape(t["shape"]))
    for t in (case["inputs"]["p"], case["inputs"]["g"])
)
optimizer = make([p], **{ours.get(key, key): value for key, value in options.items()})
after = []
for p.grad in g:
    optimizer.step()
    after.append(p.clone())
numpy.save(out + ".npy", torch.stack(after).numpy())
json.dump({"outputs": {"p": {"npy": out + ".npy"}}}, open(out, "w"))
