using System.Runtime.InteropServices;

namespace Kernels.DataParallel;

/// <summary>
/// The processes that <c>mpirun</c> started, through the C interface of Open MPI (MPI-3.1, sections 5 and 8). Its handles
/// are addresses of objects that the library exports.
/// </summary>
internal sealed unsafe partial class Mpi : IDisposable
{
    private const string Library = "libmpi.so.40";

    private readonly nint _world;
    private readonly nint _bytes;

    private Mpi()
    {
        nint library = NativeLibrary.Load(Library);
        _world = NativeLibrary.GetExport(library, "ompi_mpi_comm_world");
        _bytes = NativeLibrary.GetExport(library, "ompi_mpi_byte");
        Check(MPI_Init(null, null), nameof(MPI_Init));
        Check(MPI_Comm_rank(_world, out int rank), nameof(MPI_Comm_rank));
        Check(MPI_Comm_size(_world, out int size), nameof(MPI_Comm_size));
        (Rank, Size) = (rank, size);
    }

    /// <summary>This process, from 0 on.</summary>
    internal int Rank { get; }

    /// <summary>Processes.</summary>
    internal int Size { get; }

    /// <summary>Joins the other processes.</summary>
    internal static Mpi Start() => new();

    /// <summary>The pieces of all processes, all of one length, one behind the other, in every process.</summary>
    internal void AllGather<T>(ReadOnlySpan<T> piece, Span<T> all)
        where T : unmanaged
    {
        int bytes = Bytes(piece, all);
        fixed (T* from = piece)
        fixed (T* to = all)
        {
            Check(MPI_Allgather(from, bytes, _bytes, to, bytes, _bytes, _world), nameof(MPI_Allgather));
        }
    }

    /// <summary>The pieces of all processes, one behind the other, in the root alone.</summary>
    internal void Gather<T>(ReadOnlySpan<T> piece, Span<T> all, int root)
        where T : unmanaged
    {
        int bytes = Bytes(piece, all);
        fixed (T* from = piece)
        fixed (T* to = all)
        {
            Check(MPI_Gather(from, bytes, _bytes, to, bytes, _bytes, root, _world), nameof(MPI_Gather));
        }
    }

    /// <summary>What the root has, in every process.</summary>
    internal void Broadcast<T>(Span<T> values, int root)
        where T : unmanaged
    {
        fixed (T* at = values)
        {
            Check(MPI_Bcast(at, checked(values.Length * sizeof(T)), _bytes, root, _world), nameof(MPI_Bcast));
        }
    }

    /// <summary>Leaves; all processes must.</summary>
    public void Dispose() => Check(MPI_Finalize(), nameof(MPI_Finalize));

    private int Bytes<T>(ReadOnlySpan<T> piece, Span<T> all)
        where T : unmanaged => all.Length == piece.Length * Size
            ? checked(piece.Length * sizeof(T))
            : throw new ArgumentException($"There must be room for {piece.Length * Size} elements, and is for {all.Length}.", nameof(all));

    private static void Check(int code, string call)
    {
        if (code != 0)
        {
            throw new InvalidOperationException($"{call} failed with the code {code}.");
        }
    }

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MPI_Init(int* argc, byte*** argv);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MPI_Finalize();

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MPI_Comm_rank(nint world, out int rank);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MPI_Comm_size(nint world, out int size);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MPI_Bcast(void* values, int count, nint type, int root, nint world);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MPI_Gather(
        void* piece, int count, nint type, void* all, int allCount, nint allType, int root, nint world);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MPI_Allgather(
        void* piece, int count, nint type, void* all, int allCount, nint allType, nint world);
}
