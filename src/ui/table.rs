//! Tables that align, also with wide letters.

use unicode_width::UnicodeWidthStr as _;

/// Lines of the rows, their columns aligned and two blanks apart; the last column is left as long as it is.
pub fn table<R: AsRef<[String]>>(rows: &[R]) -> Vec<String> {
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &R| {
        let mut line = String::new();
        for (cell, width) in row.as_ref().iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.width() + 2));
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rows = [row(&["✓ site", "#1", "ok"]), row(&["! 状態", "#142", ""]), row(&["x"])];
        assert_eq!(table(&rows), ["✓ site  #1    ok", "! 状態  #142", "x"]);
    }
}
