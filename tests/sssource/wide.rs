//! The copied columns of the wide table, and the rules by which they are copied.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    NullArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Float32Type, Int64Type, Schema};
use arrow::util::display::array_value_to_string;
use ssp::monitor::Monitor;
use ssp::sssource::options::MeasuredOn;
use ssp::sssource::wide::{Wide, copied_columns};
use ssp::sssource::{Error, associate};

use super::case::{Case, Columns, Tables, dia, obs, reals, remove, replace, text, texts, write_all};

/// What was copied, and what people should know of it.
pub struct Copied {
    pub rows: RecordBatch,
    pub warnings: Vec<String>,
}

impl Copied {
    /// The values of a column as text; `-` is NULL.
    fn list(&self, column: &str) -> Vec<String> {
        let array = self.rows.column_by_name(column).unwrap();
        let value = |row| {
            if array.is_null(row) { "-".to_owned() } else { array_value_to_string(array, row).unwrap() }
        };
        (0..array.len()).map(value).collect()
    }
}

/// A case with a row for each of its three detections, and the options that fill block 3.
pub fn case() -> Case {
    let mut case = Case::wide();
    case.options.processing_label = Some("DP2".to_owned());
    case.options.processing_table = Some("dia_source".to_owned());
    case
}

/// The tables of a case with the columns that the wide table cannot do without.
pub fn tables(case: &Case) -> Tables {
    let mut tables = case.tables();
    let number = |k: usize| i64::try_from(k).unwrap();
    let ids: Vec<i64> = case.dia.iter().map(|row| row.id).collect();
    let dia: Columns = vec![
        ("visit", Arc::new(ids.iter().map(|id| Some(2_025_060_100_000 + id)).collect::<Int64Array>())),
        ("detector", Arc::new(ids.iter().map(|id| i16::try_from(id % 189).ok()).collect::<Int16Array>())),
        ("psfFlux", Arc::new(ids.iter().map(|id| Some((id % 1_000) as f32)).collect::<Float32Array>())),
        ("psfFluxErr", Arc::new(ids.iter().map(|_| Some(2.5)).collect::<Float32Array>())),
        ("band", texts(ids.iter().map(|_| Some("r")))),
    ];
    tables.get_mut("dia_sources").unwrap().extend(dia);
    let trkids: Vec<String> = (0..case.obs.len()).map(|k| format!("{:016}", number(k))).collect();
    add(&mut tables, "obs_sbn", "trkid", StringArray::from(trkids));
    tables
}

pub fn add(tables: &mut Tables, table: &str, column: &'static str, array: impl Array + 'static) {
    tables.get_mut(table).unwrap().push((column, Arc::new(array)));
}

pub fn copy(case: &Case, tables: Tables) -> Result<Copied, Error> {
    let folder = tempfile::tempdir().unwrap();
    let inputs = write_all(folder.path(), tables);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(case.threads).build().unwrap();
    pool.install(|| {
        let (options, monitor) = (&case.options, Monitor::default());
        let wide = Wide::open(&inputs, options)?;
        let warnings = wide.warnings().to_vec();
        let mut association = associate(&inputs, options, folder.path(), &monitor)?;
        let mut copied = wide.copy(&mut association.rows, folder.path(), &monitor)?;
        let fields = copied_columns()
            .iter()
            .map(|column| Field::new(&column.name, column.kind.arrow(), column.nullable));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut batches = Vec::new();
        for (number, rows) in association.rows.partitions().enumerate() {
            let rows = rows?;
            let partition = copied.partition(number, &rows)?;
            // Any rows of the partition may be asked for.
            for some in rows.chunks(700) {
                let arrays = partition.blocks(some, &association.objects)?;
                batches.push(RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap());
            }
            assert_eq!(partition.blocks(&[], &association.objects)?.len(), copied_columns().len());
        }
        Ok(Copied { rows: concat_batches(&schema, &batches).unwrap(), warnings })
    })
}

fn copied(case: &Case, tables: Tables) -> Copied {
    copy(case, tables).unwrap_or_else(|error| panic!("{}", text(&error)))
}

fn error(case: &Case, tables: Tables) -> String {
    text(&copy(case, tables).err().unwrap())
}

/// The tables of the case, with this column in `dia_sources`.
fn tables_with(column: &'static str, array: impl Array + 'static) -> Tables {
    let mut tables = tables(&case());
    remove(&mut tables, "dia_sources", column);
    add(&mut tables, "dia_sources", column, array);
    tables
}

/// The message if `dia_sources` has this column.
fn error_with(column: &'static str, array: impl Array + 'static) -> String {
    error(&case(), tables_with(column, array))
}

/// The values of a column if `dia_sources` has it so.
fn list_with(column: &'static str, array: impl Array + 'static) -> Vec<String> {
    copied(&case(), tables_with(column, array)).list(column)
}

#[test]
fn each_row_has_its_observation_its_detection_and_its_object() {
    let mut case = case();
    case.obs[2].status = Some("I");
    let mut again = obs("o0", "LSST-DP1-101", 101, Some("2024 AB1"));
    again.submission = "2030";
    case.obs.push(again);
    let copied = copied(&case, tables(&case));
    for (column, expected) in [
        ("obsid", ["o0", "o1", "o2", "o3"]),
        ("obssubid", ["LSST-DP1-101", "LSST-DP1-101", "LSST-DP1-102", "103"]),
        ("trksub", ["t1"; 4]),
        ("trkid", ["0000000000000003", "0000000000000000", "0000000000000001", "0000000000000002"]),
        (
            "submission_id",
            [
                "2030",
                "2025-07-01T00:00:00.000_0000Abcd",
                "2025-07-01T00:00:00.000_0000Abcd",
                "2025-07-01T00:00:00.000_0000Abcd",
            ],
        ),
        ("status", ["P", "P", "P", "I"]),
        ("primary", ["false", "true", "true", "true"]),
        ("designation", ["2024 AB1", "2024 AB1", "2024 AB1", "-"]),
        ("measuredOn", ["difference"; 4]),
        ("processing", ["DP2"; 4]),
        ("processingTable", ["dia_source"; 4]),
        ("diaSourceId", ["101", "101", "102", "103"]),
        ("sourceId", ["-"; 4]),
        ("parentSourceId", ["-"; 4]),
        ("visit", ["2025060100101", "2025060100101", "2025060100102", "2025060100103"]),
        ("detector", ["101", "101", "102", "103"]),
        ("midpointMjdTai_flag", ["true"; 4]),
        ("psfFlux", ["101.0", "101.0", "102.0", "103.0"]),
        ("band", ["r"; 4]),
    ] {
        assert_eq!(copied.list(column), expected, "{column}");
    }
    let ids = copied.list("ssObjectId");
    assert_eq!((ids[0].clone(), &*ids[3]), (i64::from_le_bytes(*b" K24A01B").to_string(), "-"));
    let position: Vec<String> = [101, 101, 102, 103].map(|id| format!("{:?}", dia(id).ra)).into();
    assert_eq!(copied.list("ra"), position);
}

#[test]
fn doubles_are_rounded_to_singles_and_keep_what_is_no_number() {
    let values = [1.0 / 3.0, f64::NAN, 1e300, 0.0].map(Some);
    let (case, mut tables) = (case(), tables(&case()));
    add(&mut tables, "dia_sources", "snr", Float64Array::from(values.to_vec()));
    let copied = copied(&case, tables);
    let column = copied.rows.column_by_name("snr").unwrap().as_primitive::<Float32Type>().values().to_vec();
    let bits: Vec<u32> = column.iter().map(|value| value.to_bits()).collect();
    // Rows come by object: 103 is of the object with the lower id.
    assert!(bits.contains(&(1.0_f32 / 3.0).to_bits()));
    assert!(column.iter().any(|value| value.is_nan()) && column.contains(&f32::INFINITY));
}

#[test]
fn other_types_are_converted_if_no_value_changes() {
    let order = |values: [&str; 3]| {
        // By object: 2023 BA2 has the detection 103, and the id that is larger or smaller than that of 2024 AB1.
        let ids = copied(&case(), tables(&case())).list("diaSourceId");
        let place = |id: &String| id.parse::<usize>().unwrap() - 101;
        ids.iter().map(|id| values[place(id)].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list_with("detector", Int64Array::from(vec![7, -8, 9, 70_000])), order(["7", "-8", "9"]));
    let unsigned = UInt64Array::from(vec![7, 8, 9, u64::MAX]);
    assert_eq!(list_with("detector", unsigned), order(["7", "8", "9"]));
    let whole = Float64Array::from(vec![7.0, 8.0, 9.0, f64::NAN]);
    assert_eq!(list_with("psfNdata", whole), order(["7", "8", "9"]));
    let bits = Int32Array::from(vec![0, 1, 0, 2]);
    assert_eq!(list_with("isDipole", bits), order(["false", "true", "false"]));
    let counts = Int64Array::from(vec![1 << 40, 3, 4, i64::MAX]);
    assert_eq!(list_with("exposureTime", counts), order(["1099511600000.0", "3.0", "4.0"]));
    assert_eq!(list_with("glint_trail", NullArray::new(4)), order(["-"; 3]));
    let texts = StringArray::from(vec![Some("u"), Some("g"), Some("\u{e9}"), Some("too long")]);
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8View));
    for layout in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, dictionary] {
        let array = cast(&texts, &layout).unwrap();
        let (case, mut tables) = (case(), tables(&case()));
        remove(&mut tables, "dia_sources", "band");
        tables.get_mut("dia_sources").unwrap().push(("band", array));
        assert_eq!(copied(&case, tables).list("band"), order(["u", "g", "\u{e9}"]), "{layout}");
    }
}

#[test]
fn a_value_that_would_change_is_an_error() {
    let says = |values: &str, column: &str, declared: &str| {
        format!("cannot store {values} of column `{column}` of dia_sources as {declared}")
    };
    let detectors = Int64Array::from(vec![70_000, 1, -40_000, 0]);
    assert_eq!(
        error_with("detector", detectors),
        says("2 values (diaSourceId 101: `70000`, diaSourceId 103: `-40000`)", "detector", "int16")
    );
    let halves = Float64Array::from(vec![1.0, 2.5, 9_007_199_254_740_994.0, 0.0]);
    assert_eq!(
        error_with("visit", halves),
        says("2 values (diaSourceId 102: `2.5`, diaSourceId 103: `9007199254740994.0`)", "visit", "int64")
    );
    assert_eq!(
        error_with("psfNdata", Float32Array::from(vec![1.0, f32::NAN, 1.0, 1.0])),
        says("1 value (diaSourceId 102: `NaN`)", "psfNdata", "int32")
    );
    assert_eq!(
        error_with("isDipole", Int32Array::from(vec![0, 2, 1, 0])),
        says("1 value (diaSourceId 102: `2`)", "isDipole", "a boolean")
    );
    assert_eq!(
        error_with("snr", Int64Array::from(vec![16_777_217, 2, 3, 4])),
        says("1 value (diaSourceId 101: `16777217`)", "snr", "float32")
    );
    assert_eq!(
        error_with("parentDiaSourceId", UInt64Array::from(vec![0, u64::MAX, 0, 0])),
        says("1 value (diaSourceId 102: `18446744073709551615`)", "parentDiaSourceId", "int64")
    );
    let names = texts(["r", "rr", "\u{e9}", "ugrizy"].map(Some).into_iter());
    assert_eq!(
        error_with("band", names),
        says("1 value (diaSourceId 102: `rr`)", "band", "a string of at most 1 characters")
    );
}

#[test]
fn a_text_of_obs_sbn_that_is_too_long_is_named_by_its_obsid() {
    let (case, mut tables) = (case(), tables(&case()));
    replace(&mut tables, "obs_sbn", "trksub", StringArray::from(vec!["123456789", "12345678", "1234567890"]));
    assert_eq!(
        error(&case, tables),
        "cannot store 2 values (obsid o1: `123456789`, obsid o3: `1234567890`) of column `trksub` of obs_sbn as a string of \
         at most 8 characters"
    );
}

#[test]
fn a_null_where_a_value_must_be_is_an_error_for_rows_that_are_used() {
    let nulls = Float32Array::from(vec![None, Some(1.0), None, None]);
    assert_eq!(
        error_with("psfFlux", nulls),
        "column `psfFlux` of dia_sources is NULL in 2 rows (diaSourceId 101, diaSourceId 103): each row of the wide \
         table must have a value"
    );
    assert_eq!(
        list_with("psfFlux", Float32Array::from(vec![Some(1.0), Some(2.0), Some(3.0), None])).len(),
        3
    );
    let flags = BooleanArray::from(vec![Some(true), None, Some(false), None]);
    assert!(error_with("midpointMjdTai_flag", flags).contains("is NULL in 1 row (diaSourceId 102)"));
    let mut case = case();
    case.obs[1].status = None;
    let said = error(&case, tables(&case));
    assert!(said.starts_with("column `status` of obs_sbn is NULL in 1 row (obsid o2): "), "{said}");
}

#[test]
fn columns_that_are_missing_are_null_with_one_warning() {
    let case = case();
    let copied = copied(&case, tables(&case));
    let [warning] = &copied.warnings[..] else { panic!("{:?}", copied.warnings) };
    let lacking = copied_columns().iter().filter(|column| {
        let array = copied.rows.column_by_name(&column.name).unwrap();
        array.null_count() == array.len() && !["sourceId", "parentSourceId"].contains(&&*column.name)
    });
    let names: Vec<&str> = lacking.map(|column| &*column.name).collect();
    assert_eq!(names.len(), 117);
    assert_eq!(
        *warning,
        format!("dia_sources lacks 117 columns of the wide table, which are NULL: `{}`", names.join("`, `"))
    );
}

#[test]
fn a_missing_column_that_must_not_be_null_is_an_error() {
    let case = case();
    for (table, column) in
        [("dia_sources", "visit"), ("dia_sources", "band"), ("obs_sbn", "trkid"), ("obs_sbn", "obsid")]
    {
        let mut tables = tables(&case);
        remove(&mut tables, table, column);
        let said = error(&case, tables);
        let expected = format!("{table}: `{table}.parquet` has no column `{column}` (it has: ");
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn a_type_that_cannot_be_converted_is_an_error() {
    let says = |column: &str, found: &str, wanted: &str| {
        format!("dia_sources: column `{column}` of `dia_sources.parquet` is {found}, and must be {wanted}")
    };
    let numbers = || Int32Array::from(vec![1, 2, 3, 4]);
    assert_eq!(error_with("band", numbers()), says("band", "Int32", "a string"));
    let names = || StringArray::from(vec!["1", "2", "3", "4"]);
    assert_eq!(error_with("detector", names()), says("detector", "Utf8", "an integer"));
    assert_eq!(error_with("snr", names()), says("snr", "Utf8", "a number"));
    let reals = Float32Array::from(vec![0.0, 1.0, 0.0, 1.0]);
    assert_eq!(error_with("isDipole", reals), says("isDipole", "Float32", "boolean or 0 and 1"));
    let times = TimestampMicrosecondArray::from(vec![0, 1, 2, 3]);
    assert_eq!(error_with("exposureTime", times), says("exposureTime", "Timestamp(µs)", "a number"));
    assert_eq!(error_with("apFlux", names()), says("apFlux", "Utf8", "a number"));
}

#[test]
fn ids_belong_to_the_image_on_which_a_row_was_measured() {
    let by_id = |case: &Case, tables: Tables| {
        let copied = copied(case, tables);
        let columns = ["measuredOn", "diaSourceId", "sourceId", "parentDiaSourceId", "parentSourceId"];
        let lists = columns.map(|column| copied.list(column));
        let mut rows: Vec<String> =
            (0..3).map(|row| lists.each_ref().map(|list| list[row].clone()).join(" ")).collect();
        rows.sort();
        rows
    };
    let (mut case, mut tables) = (case(), tables(&case()));
    add(&mut tables, "dia_sources", "parentDiaSourceId", Int64Array::from(vec![1, 2, 3, 4]));
    assert_eq!(
        by_id(&case, tables.clone()),
        ["difference 101 - 1 -", "difference 102 - 2 -", "difference 103 - 3 -"]
    );
    case.options.measured_on = Some(MeasuredOn::Science);
    assert_eq!(by_id(&case, tables.clone()), ["science - 101 - 1", "science - 102 - 2", "science - 103 - 3"]);
    add(&mut tables, "dia_sources", "sourceId", Int64Array::from(vec![11, 12, 13, 14]));
    add(&mut tables, "dia_sources", "parentSourceId", Int64Array::from(vec![Some(21), None, Some(23), None]));
    let measured_on = StringArray::from(vec![Some("difference"), Some("science"), None, None]);
    add(&mut tables, "dia_sources", "measuredOn", measured_on);
    assert_eq!(
        by_id(&case, tables.clone()),
        ["difference 101 - 1 -", "science - 12 - -", "science - 13 - 23"]
    );
    case.options.measured_on = None;
    assert_eq!(by_id(&case, tables.clone())[1], "difference 103 - 3 -");
    let wrong = StringArray::from(vec!["difference", "template", "science", "visit"]);
    replace(&mut tables, "dia_sources", "measuredOn", wrong);
    assert_eq!(
        error(&case, tables),
        "cannot store 1 value (diaSourceId 102: `template`) of column `measuredOn` of dia_sources as `difference` or \
         `science`"
    );
}

#[test]
fn the_processing_is_that_of_the_column_else_of_the_option_else_an_error() {
    let (mut case, mut tables) = (case(), tables(&case()));
    add(&mut tables, "dia_sources", "processing", texts([Some("DP1"), None, Some("AP"), None].into_iter()));
    let mut found = copied(&case, tables.clone()).list("processing");
    found.sort();
    assert_eq!(found, ["AP", "DP1", "DP2"]);
    case.options.processing_label = None;
    assert!(
        error(&case, tables.clone())
            .starts_with("column `processing` of dia_sources is NULL in 1 row (diaSourceId 102)")
    );
    remove(&mut tables, "dia_sources", "processing");
    assert_eq!(
        error(&case, tables.clone()),
        "dia_sources has no column `processing`, which each row of the wide table must have: give its value with \
         --processing-label"
    );
    case.options.processing_label = Some("a label of 21 letters".to_owned());
    assert_eq!(
        error(&case, tables.clone()),
        "the value of --processing-label has 21 characters (`a label of 21 letters`): at most 16 are possible"
    );
    case.options.processing_label = Some("DP2".to_owned());
    case.options.processing_table = None;
    assert!(error(&case, tables).ends_with("give its value with --processing-table"));
}

#[test]
fn missing_magnitudes_are_made_of_their_fluxes() {
    let (case, mut tables) = (case(), tables(&case()));
    let fluxes = vec![Some(3_630.780_5), Some(-1.0), None, Some(1.0)];
    add(&mut tables, "dia_sources", "trailFlux", Float64Array::from(fluxes));
    add(
        &mut tables,
        "dia_sources",
        "trailFluxErr",
        reals([Some(36.307_805), Some(1.0), Some(1.0), None].into_iter()),
    );
    // Without an error of the flux there is no error of the magnitude.
    add(&mut tables, "dia_sources", "ap03Flux", Float32Array::from(vec![1.0, 0.0, f32::NAN, 1.0]));
    // What is there is copied.
    add(&mut tables, "dia_sources", "apFlux", Float32Array::from(vec![100.0; 4]));
    add(&mut tables, "dia_sources", "apMag", Float64Array::from(vec![Some(20.0), None, Some(22.0), None]));
    let copied = copied(&case, tables);
    let by_id = |column: &str| {
        let ids = copied.rows.column_by_name("diaSourceId").unwrap().as_primitive::<Int64Type>();
        let values = copied.rows.column_by_name(column).unwrap().as_primitive::<Float32Type>();
        let mut pairs: Vec<(i64, Option<f32>)> = ids.values().iter().copied().zip(values).collect();
        pairs.sort_by_key(|pair| pair.0);
        pairs.into_iter().map(|pair| pair.1).collect::<Vec<_>>()
    };
    assert_eq!(by_id("trailMag"), [Some(22.5), None, None]);
    assert_eq!(by_id("trailMagErr"), [Some(0.010_857_362), None, None]);
    assert_eq!(by_id("ap03Mag"), [Some(31.4), None, None]);
    assert_eq!(by_id("ap03MagErr"), [None; 3]);
    assert_eq!(by_id("apMag"), [Some(20.0), None, Some(22.0)]);
    assert_eq!(by_id("apMagErr"), [None; 3]);
    assert_eq!(by_id("scienceMag"), [None; 3]);
    let [warning] = &copied.warnings[..] else { panic!("{:?}", copied.warnings) };
    for (column, is_lacking) in [
        ("trailMag", false),
        ("trailMagErr", false),
        ("ap03MagErr", true),
        ("scienceMag", true),
        ("psfMag", false),
    ] {
        assert_eq!(warning.contains(&format!("`{column}`")), is_lacking, "{column}");
    }
}

#[test]
fn every_magnitude_has_its_flux() {
    let has = |name: &str| copied_columns().iter().any(|column| column.name == name);
    let mut pairs = 0;
    for column in copied_columns() {
        if let Some(stem) = column.name.strip_suffix("Mag") {
            assert!(["Flux", "FluxErr", "MagErr"].iter().all(|end| has(&format!("{stem}{end}"))), "{stem}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 9);
}

#[test]
fn files_of_one_input_may_have_different_columns() {
    let case = case();
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = write_all(folder.path(), tables(&case));
    let parts = folder.path().join("parts");
    for (name, range, has_snr) in [("a", 0..2, true), ("b", 2..4, false)] {
        let mut part = case.clone();
        part.dia = part.dia[range].to_vec();
        let mut tables = tables(&part);
        if has_snr {
            add(&mut tables, "dia_sources", "snr", Float32Array::from(vec![5.5, 6.5]));
            add(&mut tables, "dia_sources", "processing", StringArray::from(vec!["A", "B"]));
        }
        let columns = tables.remove("dia_sources").unwrap();
        super::case::write(&parts.join(format!("{name}.parquet")), columns);
    }
    inputs.dia_sources = parts;
    let monitor = Monitor::default();
    let wide = Wide::open(&inputs, &case.options).unwrap();
    assert!(wide.warnings()[0].contains("`snr`"));
    let mut association = associate(&inputs, &case.options, folder.path(), &monitor).unwrap();
    let mut copied = wide.copy(&mut association.rows, folder.path(), &monitor).unwrap();
    let rows = association.rows.partitions().next().unwrap().unwrap();
    let arrays = copied.partition(0, &rows).unwrap().blocks(&rows, &association.objects).unwrap();
    let list = |name: &str| {
        let place = copied_columns().iter().position(|column| column.name == name).unwrap();
        let array: &ArrayRef = &arrays[place];
        let mut values: Vec<String> = (0..array.len())
            .map(|row| format!("{} {}", rows[row].dia_source_id, array_value_to_string(array, row).unwrap()))
            .collect();
        values.sort();
        values
    };
    assert_eq!(list("snr"), ["101 5.5", "102 6.5", "103 "]);
    assert_eq!(list("processing"), ["101 A", "102 B", "103 DP2"]);
}

#[test]
fn an_input_that_changes_meanwhile_is_an_error() {
    let case = case();
    let folder = tempfile::tempdir().unwrap();
    let inputs = write_all(folder.path(), tables(&case));
    let monitor = Monitor::default();
    let mut association = associate(&inputs, &case.options, folder.path(), &monitor).unwrap();
    let mut fewer = case.clone();
    fewer.dia.truncate(2);
    write_all(folder.path(), tables(&fewer));
    let wide = Wide::open(&inputs, &case.options).unwrap();
    let mut copied = wide.copy(&mut association.rows, folder.path(), &monitor).unwrap();
    let rows = association.rows.partitions().next().unwrap().unwrap();
    let error = copied.partition(0, &rows).err().unwrap();
    assert_eq!(error.to_string(), "dia_sources changed while it was read: build the table again");
}

#[test]
fn rows_of_another_partition_are_an_error() {
    let case = case();
    let folder = tempfile::tempdir().unwrap();
    let inputs = write_all(folder.path(), tables(&case));
    let monitor = Monitor::default();
    let mut association = associate(&inputs, &case.options, folder.path(), &monitor).unwrap();
    let mut copied = Wide::open(&inputs, &case.options)
        .unwrap()
        .copy(&mut association.rows, folder.path(), &monitor)
        .unwrap();
    let mut rows = association.rows.partitions().next().unwrap().unwrap();
    let partition = copied.partition(0, &rows).unwrap();
    rows[1].obs_row = 1 << 40;
    let error = partition.blocks(&rows, &association.objects).unwrap_err();
    assert!(matches!(error, Error::Changed { table: "obs_sbn" }), "{error}");
}
