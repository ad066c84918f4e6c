using Microsoft.ML;
using Microsoft.ML.Data;

namespace Kernels.ML;

/// <summary>One row at a time, for prediction engines.</summary>
internal sealed class RowMapper : IRowToRowMapper
{
    private readonly RowTransformer _transformer;
    private readonly DataViewSchema.Column _vectors;

    internal RowMapper(RowTransformer transformer, DataViewSchema inputSchema)
    {
        _transformer = transformer;
        _vectors = transformer.FindInput(inputSchema, nameof(inputSchema));
        InputSchema = inputSchema;
        OutputSchema = transformer.GetOutputSchema(inputSchema);
    }

    public DataViewSchema InputSchema { get; }

    public DataViewSchema OutputSchema { get; }

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        int own = InputSchema.Count;
        return dependingColumns.Select(c => c.Index < own ? InputSchema[c.Index] : _vectors).DistinctBy(c => c.Index);
    }

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        ArgumentNullException.ThrowIfNull(input);
        bool[] active = new bool[OutputSchema.Count];
        foreach (DataViewSchema.Column column in activeColumns)
        {
            active[column.Index] = true;
        }

        return new Row(this, input, active);
    }

    private sealed class Row : DataViewRow
    {
        private readonly RowMapper _mapper;
        private readonly DataViewRow _input;
        private readonly bool[] _active;
        private readonly bool[] _wanted;
        private readonly ValueGetter<VBuffer<float>>? _vector;
        private readonly float[] _numbers;
        private readonly RowResults _results;
        private VBuffer<float> _buffer;
        private long _computed = -1;

        internal Row(RowMapper mapper, DataViewRow input, bool[] active)
        {
            _mapper = mapper;
            _input = input;
            _active = active;
            _wanted = active[mapper.InputSchema.Count..];
            _vector = Array.Exists(_wanted, w => w) ? input.GetGetter<VBuffer<float>>(mapper._vectors) : null;
            _numbers = new float[mapper._transformer.InputLength];
            _results = new RowResults(mapper._transformer.Added, 1);
        }

        public override long Position => _input.Position;

        public override long Batch => _input.Batch;

        public override DataViewSchema Schema => _mapper.OutputSchema;

        public override ValueGetter<DataViewRowId> GetIdGetter() => _input.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            if (!_active[column.Index])
            {
                throw new ArgumentException($"The column '{column.Name}' was not asked for.", nameof(column));
            }

            int own = _mapper.InputSchema.Count;
            if (column.Index < own)
            {
                return _input.GetGetter<TValue>(_mapper.InputSchema[column.Index]);
            }

            int index = column.Index - own;
            return Columns.Typed<TValue>(_results.Getter(_mapper._transformer.Added[index], index, Compute), column);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _input.Dispose();
            }

            base.Dispose(disposing);
        }

        private int Compute()
        {
            if (_computed != _input.Position)
            {
                _vector!(ref _buffer);
                Columns.CopyTo(_buffer, _numbers, _mapper._transformer.InputColumnName);
                _mapper._transformer.Map(_numbers, 1, _results, _wanted);
                _computed = _input.Position;
            }

            return 0;
        }
    }
}
