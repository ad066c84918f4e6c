using ILGPU.Runtime.Cuda;
using Kernels.Tools.Inspection;

namespace Kernels.Tests.Tools;

/// <summary>What is counted in code, on code written by hand.</summary>
public class CodeFactsTests
{
    private const string Ptx =
        """
        .version 7.0
        .target sm_80
        .extern .shared .align 8 .b8 __dyn[];
        .visible .entry Kernel_X(
        	.param .align 8 .b8 _t_1[88]
        )
        {
        	.local .align 4 .b8 __depot0[12];
        	.reg .f32	%f<12>;
        	.shared .align 4 .b8 __alloca0[1024];
        	.shared .align 4 .f32 __alloca1[16];
        	ld.param.b64	%rd1, [_t_1];
        	L_12:
        	ld.v4.f32	{%f1, %f2, %f3, %f4}, [%rd1];
        	ld.global.v2.b32	{%r1, %r2}, [%rd1+16];
        	ld.b16	%rs1, [%rd1+32];
        	ld.b8	%rs2, [%rd1+34];
        	@%p1 st.global.b64	[%rd1], %rd2;
        	ld.shared.v4.f32	{%f5, %f6, %f7, %f8}, [%rd3];
        	mov.u64	%rd6, __dyn;
        	cvta.shared.u64	%rd7, %rd6;
        	mad.lo.u64	%rd8, %rd2, 4, %rd7;
        	mov.b64	%rd9, %rd8;
        	st.f32	[%rd9+4], %f1;
        	st.local.b16	[%rd4], %rs1;
        	red.add.shared.u32	[%rd3], 1;
        	atom.add.u32	%r3, [%rd1], 1;
        	mul.f32	%f9, %f1, %f2;
        	fma.rn.f32	%f9, %f1, %f2, %f3;
        	add.f16x2	%r4, %r1, %r2;
        	div.rn.f32	%f10, %f9, %f1;
        	rem.s32	%r5, %r1, %r2;
        	setp.lt.s32	%p1, %r1, 0;
        	and.pred	%p1, %p1, %p2;
        	selp.b32	%f11, %f9, %f10, %p1;
        	cvt.rn.f32.s32	%f11, %r1;
        	bar.sync	0;
        	@!%p1 bra	L_12;
        	ret;
        }
        """;

    [Fact]
    public void The_instructions_of_PTX_are_counted_by_class()
    {
        CodeFacts facts = PtxCode.Read(Ptx);

        Assert.Equal(
            new Dictionary<InstructionClass, int>
            {
                [InstructionClass.F32] = 1,
                [InstructionClass.F16] = 1,
                [InstructionClass.Fma] = 1,
                [InstructionClass.Special] = 1,
                [InstructionClass.Integer] = 2,
                [InstructionClass.Comparison] = 3,
                [InstructionClass.Conversion] = 1,
                [InstructionClass.Move] = 3,
                [InstructionClass.Argument] = 1,
                [InstructionClass.Branch] = 2,
                [InstructionClass.Barrier] = 1,
            },
            facts.Instructions);
        Assert.Equal(27, facts.Total);
    }

    [Fact]
    public void The_widths_and_spaces_of_PTX_are_those_of_its_accesses()
    {
        CodeFacts facts = PtxCode.Read(Ptx);

        Assert.Equal(
            [
                new MemoryAccess(MemorySpace.Global, AccessKind.Load, "b8", 8, 1),
                new MemoryAccess(MemorySpace.Global, AccessKind.Load, "b16", 16, 1),
                new MemoryAccess(MemorySpace.Global, AccessKind.Load, "v2.b32", 64, 1),
                new MemoryAccess(MemorySpace.Global, AccessKind.Load, "v4.f32", 128, 1),
                new MemoryAccess(MemorySpace.Global, AccessKind.Store, "b64", 64, 1),
                new MemoryAccess(MemorySpace.Global, AccessKind.Atomic, "u32", 32, 1),
                new MemoryAccess(MemorySpace.Shared, AccessKind.Load, "v4.f32", 128, 1),
                new MemoryAccess(MemorySpace.Shared, AccessKind.Store, "f32", 32, 1),
                new MemoryAccess(MemorySpace.Shared, AccessKind.Atomic, "u32", 32, 1),
                new MemoryAccess(MemorySpace.Local, AccessKind.Store, "b16", 16, 1),
            ],
            facts.Accesses);
        Assert.Equal(
            (27, 8, 4),
            (facts.GlobalBytes(AccessKind.Load), facts.GlobalBytes(AccessKind.Store), facts.GlobalBytes(AccessKind.Atomic)));
        Assert.Equal((1088, true, 12), (facts.SharedBytes, facts.IsSharedOpen, facts.LocalBytes));
        Assert.Equal(CodeMarks.LocalMemory, facts.Marks);
    }

    [Theory]
    [InlineData("\tadd.f64\t%fd1, %fd2, %fd3;", CodeMarks.Binary64)]
    [InlineData("\tex2.approx.f32\t%f1, %f2;", CodeMarks.Approximation)]
    [InlineData(".extern .func f;", CodeMarks.ExternalFunction)]
    [InlineData("\t@%p1 bra.uni\tL_1;", CodeMarks.PredicatedUniformBranch)]
    [InlineData("\t.local .align 2 .b8 d[4];", CodeMarks.LocalMemory)]
    [InlineData("\tbra.uni\tL_1;", CodeMarks.None)]
    internal void What_should_not_be_there_is_marked(string line, CodeMarks marks) =>
        Assert.Equal(marks, PtxCode.Read(line + "\n").Marks);

    [Fact]
    public void OpenCL_is_counted_by_the_types_of_its_variables()
    {
        CodeFacts facts = OpenClCode.Read(
            """
            typedef global float* type_1;
            struct type_2
            {
            	float field_0;
            	float field_1;
            	float field_2;
            	float field_3;
            };
            typedef global struct type_2* type_3;
            typedef local int* type_4;
            kernel void Kernel_X(
            	global char* view_0,
            	long var0)
            {
            	type_1 var1;
            	type_3 var2;
            	type_4 var3;
            	float var4;
            	struct type_2 var5;
            	local struct type_2 var6[16];
            	private short var7[8];
            	var5 =  *  var2;
            	 *  var1 =  var4;
            	var8 =  *  var3;
            	var9 =  *  view_0;
            	var10 =  atomic_fetch_add ((atomic_int*)var3, (int)1);
            	var4 = (float)((float) var4 *  (float)var4);
            	var4 = (float)((float) var4 /  (float)var4);
            	var4 = (float) fma ((float)var4, (float)var4, (float)var4);
            	var11 = (int)((int) var8 <<  (int)2);
            	var12 = (float) var4 < (float) 0.0f;
            	var4 =  var12 ?  var4 :  1.0f;
            	var13 = (long)(int) var8;
            	var4 =  as_float (var8);
            	 work_group_barrier ( CLK_LOCAL_MEM_FENCE );
            	 goto L_1;
            	 return ;
            }
            """);

        Assert.Equal(
            [
                new MemoryAccess(MemorySpace.Global, AccessKind.Load, "char", 8, 1),
                new MemoryAccess(MemorySpace.Global, AccessKind.Load, "4 float", 128, 1),
                new MemoryAccess(MemorySpace.Global, AccessKind.Store, "float", 32, 1),
                new MemoryAccess(MemorySpace.Shared, AccessKind.Load, "int", 32, 1),
                new MemoryAccess(MemorySpace.Shared, AccessKind.Atomic, "int", 32, 1),
            ],
            facts.Accesses);
        Assert.Equal(
            new Dictionary<InstructionClass, int>
            {
                [InstructionClass.F32] = 1,
                [InstructionClass.Special] = 1,
                [InstructionClass.Fma] = 1,
                [InstructionClass.Integer] = 1,
                [InstructionClass.Comparison] = 2,
                [InstructionClass.Conversion] = 1,
                [InstructionClass.Move] = 1,
                [InstructionClass.Barrier] = 1,
                [InstructionClass.Branch] = 2,
            },
            facts.Instructions);
        Assert.Equal((256, 16), (facts.SharedBytes, facts.LocalBytes));
    }

    [Fact]
    public void Machine_code_is_counted_by_its_mnemonics()
    {
        CodeFacts facts = SassCode.Read(
            """
            Kernel_X:
                    /*0000*/                   MOV R1, c[0x0][0x28] ;
                    /*0010*/                   HFMA2.MMA R34, -RZ, RZ, 0, 0 ;
                    /*0020*/               @P0 LD.E.128 R20, [R6.64] ;
                    /*0030*/              @!P1 STG.E.U16 [R6.64], R20 ;
                    /*0040*/                   LDS.64 R4, [R2] ;
                    /*0050*/                   STL [R1], R4 ;
                    /*0060*/                   FFMA R4, R4, R4, R4 ;
                    /*0070*/                   MUFU.RCP R4, R4 ;
                    /*0080*/                   IADD3 R0, R32, 0x3f, RZ ;
                    /*0090*/                   ISETP.GE.AND P3, PT, R5, RZ, PT ;
                    /*00a0*/                   BAR.SYNC 0x0 ;
                    /*00b0*/                   EXIT ;
                    /*00c0*/                   NOP;
            """);

        Assert.Equal(
            [
                new MemoryAccess(MemorySpace.Global, AccessKind.Load, "E.128", 128, 1),
                new MemoryAccess(MemorySpace.Global, AccessKind.Store, "E.U16", 16, 1),
                new MemoryAccess(MemorySpace.Shared, AccessKind.Load, "64", 64, 1),
                new MemoryAccess(MemorySpace.Local, AccessKind.Store, "", 32, 1),
            ],
            facts.Accesses);
        Assert.Equal(
            new Dictionary<InstructionClass, int>
            {
                [InstructionClass.Fma] = 1,
                [InstructionClass.Special] = 1,
                [InstructionClass.Integer] = 1,
                [InstructionClass.Comparison] = 1,
                [InstructionClass.Move] = 2,
                [InstructionClass.Branch] = 1,
                [InstructionClass.Barrier] = 1,
            },
            facts.Instructions);
        Assert.Equal(CodeMarks.LocalMemory, facts.Marks);
    }

    [Fact]
    public void The_report_of_the_assembler_is_read()
    {
        const string Report =
            """
            ptxas info    : 0 bytes gmem
            ptxas info    : Compiling entry function 'Kernel_X' for 'sm_80'
            ptxas info    : Function properties for Kernel_X
                24 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
            ptxas info    : Used 133 registers, 8704 bytes smem, 440 bytes cmem[0]
            """;

        Assert.Equal(new AssemblyReport(null, 133, 8, 12, 24, 8704), Assembler.ReadReport(Report));
        Assert.NotNull(Assembler.ReadReport("ptxas info    : 0 bytes gmem").Problem);
    }

    // By hand, from the limits of the programming guide's table.
    [Theory]
    [InlineData("sm_80", 64, 0, 256, 4, 32, "registers")]
    [InlineData("sm_80", 32, 0, 256, 8, 64, "warps")]
    [InlineData("sm_80", 32, 0, 32, 32, 32, "groups")]
    [InlineData("sm_80", 33, 0, 256, 6, 48, "registers")]
    [InlineData("sm_80", 255, 0, 256, 1, 8, "registers")]
    [InlineData("sm_80", 255, 0, 1024, 0, 0, "registers")]
    [InlineData("sm_80", 32, 49152, 128, 3, 12, "shared memory")]
    [InlineData("sm_70", 32, 49152, 128, 2, 8, "shared memory")]
    [InlineData("sm_75", 32, 0, 256, 4, 32, "warps")]
    [InlineData("sm_86", 32, 0, 256, 6, 48, "warps")]
    [InlineData("sm_86", 32, 0, 64, 16, 32, "groups")]
    [InlineData("sm_89", 32, 0, 64, 24, 48, "warps")]
    [InlineData("sm_90", 32, 49152, 128, 4, 16, "shared memory")]
    public void Occupancy_is_that_of_the_architecture(
        string name, int registers, int sharedBytes, int groupSize, int groups, int warps, string limit)
    {
        var architecture = Architecture.Find(name);

        Assert.Equal(
            new Occupancy(groups, warps, architecture.MaxWarps, limit),
            architecture.OccupancyOf(registers, sharedBytes, groupSize));
    }

    [Fact]
    public void Half_the_warps_are_half_the_occupancy() =>
        Assert.Equal(0.5, Architecture.Find("sm_80").OccupancyOf(64, 0, 256).Fraction);

    [Fact]
    public void The_name_of_an_architecture_is_the_assemblers() =>
        Assert.Equal("sm_86", Architecture.NameOf(CudaArchitecture.SM_86));

    [Theory]
    [InlineData("kitten", "sitting", 3)]
    [InlineData("", "abc", 3)]
    [InlineData("Adam", "adam", 0)]
    public void Distance_is_in_letters(string from, string to, int distance) =>
        Assert.Equal(distance, NearNames.Distance(from, to));
}
