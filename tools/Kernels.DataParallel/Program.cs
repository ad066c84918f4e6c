using Kernels;
using Kernels.DataParallel;

// One program in several processes: mpirun -np 4 dotnet run -c Release --no-build --project tools/Kernels.DataParallel
// All work is cut into four parts whatever the number of processes, so that 1, 2 and 4 of them print the same.
using Mpi mpi = Mpi.Start();
if (Parts.Count % mpi.Size != 0)
{
    throw new InvalidOperationException($"1, 2 or {Parts.Count} processes are wanted, and there are {mpi.Size}.");
}

using Session session = Session.Open(Environment.GetEnvironmentVariable("KERNELS_DEVICE") ?? "cpu");
ShardedCodebook.Run(mpi, session);
ShardedOptimizer.Run(mpi, session);
