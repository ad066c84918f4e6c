using Kernels.DeviceCode.Optimizers;
using Kernels.Optimizers;

namespace Kernels.Host;

/// <summary>
/// Where the parameters of an arena and their gradients are in the host's memory, each in a place of its own. Behind the
/// end of each are zeros up to a multiple of the block length, as in an arena, which nothing stores.
/// </summary>
internal sealed unsafe class HostPlaces
{
    private readonly Place[] _places;
    private readonly int[] _ofBlock;

    internal HostPlaces(Arena arena)
    {
        _places = new Place[arena.Parameters.Count];
        _ofBlock = new int[arena.Length / Update.BlockLength];
        Length = arena.Length;
        for (int i = 0; i < _places.Length; i++)
        {
            long length = arena.Parameters[i].Length;
            _places[i] = new Place { First = arena.Firsts[i], Length = length, Live = length };
            _ofBlock.AsSpan((int)(arena.Firsts[i] / Update.BlockLength), (int)Arena.Blocks(length)).Fill(i);
        }
    }

    /// <summary>Elements with the gaps.</summary>
    internal long Length { get; }

    /// <summary>Says where a parameter and its gradient are.</summary>
    internal void Set(int parameter, TensorView p, TensorView g)
    {
        ref Place place = ref _places[parameter];
        place.P = HostTensors.Address(p);
        place.G = HostTensors.Address(g);
        place.StorageOfP = p.Storage;
        place.StorageOfG = g.Storage;
    }

    /// <summary>
    /// Leaves a parameter out, or takes it in again: one that is left out has zeros for values and gradients, and nothing is
    /// stored.
    /// </summary>
    internal void SetLeftOut(int parameter, bool isLeftOut)
    {
        ref Place place = ref _places[parameter];
        place.Live = isLeftOut ? 0 : place.Length;
    }

    /// <summary>The place of an element of the arena, and how many more are before the next place.</summary>
    internal ref readonly Place At(long element, out long left)
    {
        ref readonly Place place = ref _places[_ofBlock[element / Update.BlockLength]];
        left = place.First + Arena.Blocks(place.Length) * Update.BlockLength - element;
        return ref place;
    }

    internal struct Place
    {
        internal byte* P;
        internal byte* G;
        internal Storage StorageOfP;
        internal Storage StorageOfG;
        internal long First;
        internal long Length;
        internal long Live; // 0 where it is left out
    }
}
