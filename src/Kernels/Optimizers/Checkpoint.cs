using System.Globalization;
using ILGPU.Runtime;
using Kernels.Serialization;

namespace Kernels.Optimizers;

/// <summary>What of an optimizer goes into a file and comes back from one: tensors, counts and the loss scale.</summary>
internal sealed class Checkpoint(
    OptimizerOptions options, Arena arena, ParameterTensors tensors, OptimizerEngine engine, LossScaler? scaler)
{
    /// <summary>Writes everything.</summary>
    /// <param name="stream">Where the file goes.</param>
    /// <param name="queue">The session's stream.</param>
    /// <param name="steps">Steps of each parameter.</param>
    /// <param name="stepCount">Steps of the optimizer.</param>
    internal void Save(Stream stream, AcceleratorStream queue, ReadOnlySpan<int> steps, int stepCount)
    {
        Dictionary<string, string> metadata = OptimizerFile.Metadata(options);
        if (scaler is not null)
        {
            (double scale, int clean) = scaler.Save(queue);
            metadata["loss_scale"] = scale.ToString("R", CultureInfo.InvariantCulture);
            metadata["clean_steps"] = clean.ToString(CultureInfo.InvariantCulture);
        }

        metadata["step"] = stepCount.ToString(CultureInfo.InvariantCulture);
        OptimizerFile.Save(stream, queue, Entries(), steps, metadata);
    }

    /// <summary>Reads everything; the steps of the optimizer.</summary>
    /// <param name="streams">The file, or those of all shards.</param>
    /// <param name="queue">The session's stream.</param>
    /// <param name="steps">Steps of each parameter, written.</param>
    /// <param name="isPart">Whether the files may hold more than this optimizer has.</param>
    /// <exception cref="InvalidDataException">A file does not fit; nothing is changed.</exception>
    internal int Load(ReadOnlySpan<Stream> streams, AcceleratorStream queue, Span<int> steps, bool isPart)
    {
        var files = new List<SafeTensorsFile>();
        foreach (Stream stream in streams)
        {
            files.Add(new SafeTensorsFile(stream, leaveOpen: true)); // holds nothing but the stream
        }

        List<OptimizerFile.Entry> entries = Entries();
        OptimizerFile.Check(files, entries, OptimizerFile.Metadata(options), isPart);
        SafeTensorsFile file = files[0];
        int stepCount = Number<int>(file, "step");
        if (files.Exists(other => Number<int>(other, "step") != stepCount))
        {
            throw new InvalidDataException("The files are of different steps.");
        }

        if (scaler is not null)
        {
            double scale = Number<double>(file, "loss_scale");
            int clean = Number<int>(file, "clean_steps");
            try
            {
                scaler.Load(queue, scale, clean);
            }
            catch (ArgumentOutOfRangeException e)
            {
                throw new InvalidDataException($"The file's loss scale is no loss scale: {e.Message}", e);
            }
        }

        OptimizerFile.Load(files, queue, entries, steps);
        tensors.RenewCopies(queue);
        return stepCount;
    }

    /// <summary>Whether one state serves all parameters, so that they cannot be shared out.</summary>
    internal bool IsWhole => engine.SharedState.Count > 0;

    private static T Number<T>(SafeTensorsFile file, string key)
        where T : ISpanParsable<T> =>
        T.TryParse(file.Metadata.GetValueOrDefault(key), CultureInfo.InvariantCulture, out T? number)
            ? number
            : throw new InvalidDataException($"The file's metadata lack a number '{key}'.");

    private List<OptimizerFile.Entry> Entries()
    {
        var entries = new List<OptimizerFile.Entry>();
        for (int i = 0; i < arena.Parameters.Count; i++)
        {
            Parameter parameter = arena.Parameters[i];
            long[] shape = [.. parameter.Shape];
            Add(parameter.Name, tensors.ValuesOf(i), tensors.StorageOf(i), shape);
            foreach (StateTensor state in engine.StateOf(i))
            {
                string name = $"{parameter.Name}.{state.State}";
                if (state.Codes.IsValid)
                {
                    entries.Add(
                        new(new SafeTensorInfo(name, SafeTensorType.U8, state.Shape), default, i) { Codes = state.Codes });
                }
                else if (state.Indices.IsValid)
                {
                    entries.Add(
                        new(new SafeTensorInfo(name, SafeTensorType.I32, state.Shape), default, i) { Indices = state.Indices });
                }
                else
                {
                    Add(name, state.View, Storage.F32, state.Shape);
                }
            }

            if (!tensors.Average.IsEmpty)
            {
                Add($"{parameter.Name}.average", tensors.AverageOf(i), Storage.F32, shape);
            }

            entries.Add(new(new SafeTensorInfo($"{parameter.Name}.step", SafeTensorType.I64), default, i));

            void Add(string name, TensorView tensor, Storage storage, long[] lengths) =>
                entries.Add(new(new SafeTensorInfo(name, OptimizerFile.TypeOf(storage), lengths), tensor, i));
        }

        foreach (StateTensor state in engine.SharedState)
        {
            entries.Add(new(new SafeTensorInfo(state.State, SafeTensorType.F32, state.Shape), state.View, 0));
        }

        return entries;
    }
}
