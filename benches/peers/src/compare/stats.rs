//! Medians and spreads of a handful of figures.

/// The middle figure, or the mean of the middle two. None without figures.
#[must_use]
pub fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// The least and the greatest figure. None without figures.
#[must_use]
pub fn range(figures: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    figures.into_iter().fold(None, |seen, figure| {
        let (least, greatest) = seen.unwrap_or((figure, figure));
        Some((least.min(figure), greatest.max(figure)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_nothing() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
        assert_eq!(range([3.0, 1.0, 2.0]), Some((1.0, 3.0)));
        assert_eq!(range([]), None);
    }
}
