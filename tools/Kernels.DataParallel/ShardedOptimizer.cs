using Kernels.Optimizers;
using Kernels.Tools.Demo.Optimizers;

namespace Kernels.DataParallel;

/// <summary>
/// The digits' network, its batches in parts and its optimizer in shards (ZeRO-1, Rajbhandari et al. 2020): every process
/// finds the gradients of its digits, the owner of a parameter gathers and adds those of all, steps it, and sends it out.
/// No process has the moments of a parameter that is not its own.
/// </summary>
internal static class ShardedOptimizer
{
    private const int Epochs = 6;
    private const int PartRows = 16;

    private static readonly int[] s_hidden = [128, 128];

    internal static void Run(Mpi mpi, Session session)
    {
        (Digits training, Digits test) = Digits.Load();
        IReadOnlyList<Parameter> parameters = Network.Initial(1, s_hidden);
        int[] owners = ParameterShards.Divide([.. parameters.Select(p => p.Length)], Parts.Count);
        int mine = Parts.Count / mpi.Size;
        bool IsOwn(int i) => owners[i] / mine == mpi.Rank;
        // Holds parameters and gradients, and has no state.
        using var replica = new Optimizer(session, new SgdOptions(), parameters);
        using var network = new Network(session, replica, Math.Max(PartRows, test.Count));
        Optimizer[] shards = [.. Parts.Of(mpi).Select(part => new Optimizer(
            session, new AdamWOptions(), [.. parameters.Where((_, i) => owners[i] == part)]))];
        float[][] gradients = [.. parameters.Select(p => new float[mine * p.Length])];
        double loss = 0;
        var random = new Random(2);
        int steps = 0;
        for (int epoch = 0; epoch < Epochs; epoch++)
        {
            int[] order = [.. Enumerable.Range(0, training.Count)];
            random.Shuffle(order);
            Digits digits = training.Ordered(order);
            for (int first = 0; first + (Parts.Count * PartRows) <= digits.Count; first += Parts.Count * PartRows)
            {
                loss = Backward(mpi, network, replica, digits, first, gradients);
                for (int i = 0; i < parameters.Count; i++)
                {
                    Reduce(mpi, parameters[i], gradients[i], owners[i] / mine, IsOwn(i) ? shards[owners[i] % mine] : null);
                }

                Array.ForEach(shards, shard => shard.Step());
                for (int i = 0; i < parameters.Count; i++)
                {
                    SendOut(mpi, parameters[i], owners[i] / mine, IsOwn(i) ? shards[owners[i] % mine] : null, replica);
                }

                steps++;
            }
        }

        float[] weights = [.. parameters.SelectMany(p => Downloaded(replica, p))];
        Parts.Print(
            mpi, FormattableString.Invariant(
                $"digits: {steps} steps, loss {loss:0.0000}, accuracy {network.Accuracy(test):P1}, checksum {Parts.Checksum<float>(weights)}"));
        Array.ForEach(shards, shard => shard.Dispose());
    }

    /// <summary>The gradients of this process's parts of a batch, each part's apart; the mean loss over all parts.</summary>
    private static double Backward(
        Mpi mpi, Network network, Optimizer replica, Digits digits, int first, float[][] gradients)
    {
        int mine = Parts.Count / mpi.Size;
        var losses = new float[mine];
        foreach (int part in Parts.Of(mpi))
        {
            losses[part % mine] = (float)network.Backward(digits, first + (part * PartRows), PartRows);
            for (int i = 0; i < gradients.Length; i++)
            {
                int length = gradients[i].Length / mine;
                replica.Download(
                    replica.Gradient(replica.Parameters[i].Name), gradients[i].AsSpan((part % mine) * length, length));
            }
        }

        var all = new float[Parts.Count];
        mpi.AllGather<float>(losses, all);
        Parts.Sum<float>(all, 1);
        return all[0] / Parts.Count;
    }

    /// <summary>Gives the owner of a parameter the mean gradient of all parts.</summary>
    private static void Reduce(Mpi mpi, Parameter parameter, float[] parts, int owner, Optimizer? shard)
    {
        int length = (int)parameter.Length;
        var all = new float[Parts.Count * length];
        mpi.Gather<float>(parts, all, owner);
        if (shard is not null)
        {
            Parts.Sum<float>(all, length);
            Span<float> mean = all.AsSpan(0, length);
            foreach (ref float g in mean)
            {
                g /= Parts.Count;
            }

            shard.SetGradient(parameter.Name, mean);
        }
    }

    private static void SendOut(Mpi mpi, Parameter parameter, int owner, Optimizer? shard, Optimizer replica)
    {
        float[] values = shard is null ? new float[parameter.Length] : Downloaded(shard, parameter);
        mpi.Broadcast<float>(values, owner);
        replica.Upload(parameter.Name, values);
    }

    private static float[] Downloaded(Optimizer optimizer, Parameter parameter)
    {
        var values = new float[parameter.Length];
        optimizer.Download(parameter.Name, values);
        return values;
    }
}
