//! Numbers, sums of money, dates and times as words that a voice speaks well.
//!
//! A Chinese voice is given numerals of Chinese: the handset reads figures one by one there. An English voice reads figures itself.

use std::str::FromStr;

/// So many figures before the point, and after it.
const MOST_FIGURES: usize = 15;
const MOST_DECIMALS: usize = 9;
const MOST_DIGITS: usize = 64;

const HAN: [char; 10] = ['零', '一', '二', '三', '四', '五', '六', '七', '八', '九'];
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/// Whether a language is one for which numerals of Chinese are written.
fn is_chinese(language: &str) -> bool {
    let primary = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    matches!(primary.as_str(), "zh" | "cmn" | "yue")
}

fn han(figure: char) -> char {
    figure.to_digit(10).and_then(|value| HAN.get(value as usize)).copied().unwrap_or(figure)
}

/// Digits one by one: `123` is "1 2 3".
pub(super) fn digits(text: &str, language: &str) -> Option<String> {
    if text.is_empty() || text.len() > MOST_DIGITS {
        return None;
    }
    let chinese = is_chinese(language);
    let one = |c: char| match (c, chinese) {
        ('0'..='9', true) => Some(han(c).to_string()),
        ('0'..='9', false) => Some(c.to_string()),
        ('*', true) => Some("星".to_owned()),
        ('*', false) => Some("star".to_owned()),
        ('#', true) => Some("井".to_owned()),
        ('#', false) => Some("hash".to_owned()),
        ('+', true) => Some("加".to_owned()),
        ('+', false) => Some("plus".to_owned()),
        _ => None,
    };
    let words: Option<Vec<String>> = text.chars().filter(|c| !matches!(c, ' ' | '-')).map(one).collect();
    words.filter(|words| !words.is_empty()).map(|words| words.join(" "))
}

/// A number in figures: its sign, what stands before the point, and what behind it.
struct Figures<'t> {
    negative: bool,
    whole: u64,
    decimals: &'t str,
}

impl<'t> Figures<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let text = text.trim();
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let all_figures = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_figures(whole) || !all_figures(decimals) || whole.is_empty() {
            return None;
        }
        if whole.len() > MOST_FIGURES || decimals.len() > MOST_DECIMALS {
            return None;
        }
        Some(Self { negative, whole: u64::from_str(whole).ok()?, decimals })
    }
}

/// A number: `-12.5` is "minus 12.5".
pub(super) fn number(text: &str, language: &str) -> Option<String> {
    let figures = Figures::read(text)?;
    let decimals = figures.decimals;
    if is_chinese(language) {
        let mut words = String::from(if figures.negative { "负" } else { "" });
        words.push_str(&cardinal(figures.whole));
        if !decimals.is_empty() {
            words.push('点');
            words.extend(decimals.chars().map(han));
        }
        return Some(words);
    }
    let sign = if figures.negative { "minus " } else { "" };
    let point = if decimals.is_empty() { "" } else { "." };
    Some(format!("{sign}{}{point}{decimals}", figures.whole))
}

/// A sum of money. Its unit is that of the original, unless `currency` names another.
pub(super) fn money(text: &str, currency: &str, language: &str) -> Option<String> {
    let figures = Figures::read(text)?;
    // Cents, cut off and not rounded: nobody is told of more than there is.
    let cents: Vec<char> = figures.decimals.chars().chain("00".chars()).take(2).collect();
    let [tens, ones] = cents.as_slice() else { return None };
    let named = Some(currency.trim()).filter(|word| !word.is_empty());
    if is_chinese(language) {
        let mut words = String::from(if figures.negative { "负" } else { "" });
        words.push_str(&cardinal(figures.whole));
        words.push_str(named.unwrap_or("元"));
        match (*tens, *ones) {
            ('0', '0') => {}
            ('0', ones) => words.extend(['零', han(ones), '分']),
            (tens, '0') => words.extend([han(tens), '角']),
            (tens, ones) => words.extend([han(tens), '角', han(ones), '分']),
        }
        return Some(words);
    }
    let sign = if figures.negative { "minus " } else { "" };
    let unit = named.unwrap_or("yuan");
    let whole = figures.whole;
    Some(if (*tens, *ones) == ('0', '0') {
        format!("{sign}{whole} {unit}")
    } else {
        format!("{sign}{whole}.{tens}{ones} {unit}")
    })
}

/// In numerals of Chinese: 1086 is 一千零八十六.
fn cardinal(number: u64) -> String {
    if number == 0 {
        return HAN[0].to_string();
    }
    let words = parts_of(number);
    // At the very beginning ten is not "one ten".
    words.strip_prefix("一十").map_or_else(|| words.clone(), |rest| format!("十{rest}"))
}

fn parts_of(number: u64) -> String {
    const UNITS: [(u64, &str); 5] = [(100_000_000, "亿"), (10_000, "万"), (1_000, "千"), (100, "百"), (10, "十")];
    for (unit, name) in UNITS {
        if number >= unit {
            let mut words = parts_of(number / unit);
            words.push_str(name);
            let rest = number % unit;
            if rest > 0 {
                // A place that is left out is told.
                if rest < unit / 10 {
                    words.push(HAN[0]);
                }
                words.push_str(&parts_of(rest));
            }
            return words;
        }
    }
    usize::try_from(number)
        .ok()
        .and_then(|figure| HAN.get(figure))
        .filter(|_| number > 0)
        .map(char::to_string)
        .unwrap_or_default()
}

/// Two or three numbers with a sign between.
fn numbers(text: &str, between: char) -> Option<Vec<u32>> {
    let one = |part: &str| (part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?;
    let all: Vec<u32> = text.split(between).map(one).collect::<Option<_>>()?;
    matches!(all.len(), 2 | 3).then_some(all)
}

/// A date, a time, or both: `2012-9-8 1:5:3`, `2012-9-8`, `2012-9`, `1:5:3`, `1:5`.
pub(super) fn moment(text: &str, language: &str) -> Option<String> {
    let text = text.trim();
    let (date, time) = match text.split_once(' ') {
        Some((date, time)) => (Some(date), Some(time.trim())),
        None if text.contains(':') => (None, Some(text)),
        None => (Some(text), None),
    };
    let chinese = is_chinese(language);
    let date = match date {
        Some(date) => Some(day(&numbers(date, '-')?, time.is_some(), chinese)?),
        None => None,
    };
    let time = match time {
        Some(time) => Some(clock(&numbers(time, ':')?, chinese)?),
        None => None,
    };
    let between = if chinese { "" } else { ", " };
    Some([date, time].into_iter().flatten().collect::<Vec<_>>().join(between))
}

fn day(numbers: &[u32], whole: bool, chinese: bool) -> Option<String> {
    let (year, month, day) = match *numbers {
        [year, month, day] => (year, month, Some(day)),
        [year, month] if !whole => (year, month, None),
        _ => return None,
    };
    chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day.unwrap_or(1))?;
    let name = MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    Some(match (chinese, day) {
        (true, day) => {
            let year: String = year.to_string().chars().map(han).collect();
            let day = day.map(|day| format!("{}日", cardinal(day.into()))).unwrap_or_default();
            format!("{year}年{}月{day}", cardinal(month.into()))
        }
        (false, Some(day)) => format!("{name} {day}, {year}"),
        (false, None) => format!("{name} {year}"),
    })
}

fn clock(numbers: &[u32], chinese: bool) -> Option<String> {
    let (hour, minute, second) = match *numbers {
        [hour, minute, second] => (hour, minute, Some(second)),
        [hour, minute] => (hour, minute, None),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second.is_some_and(|second| second > 59) {
        return None;
    }
    if chinese {
        let second = second.map(|second| format!("{}秒", cardinal(second.into()))).unwrap_or_default();
        return Some(format!("{}点{}分{second}", cardinal(hour.into()), cardinal(minute.into())));
    }
    let minute = match minute {
        0 => "o'clock".to_owned(),
        1..=9 => format!("oh {minute}"),
        _ => minute.to_string(),
    };
    let second = second.filter(|second| *second > 0).map(|second| format!(" and {}", counted(second, "second")));
    Some(format!("{hour} {minute}{}", second.unwrap_or_default()))
}

fn counted(number: u32, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// A length of time: `1:5:3`, hours first, or `1:5`, hours and minutes. Each at most 99.
pub(super) fn duration(text: &str, language: &str) -> Option<String> {
    let numbers = numbers(text.trim(), ':')?;
    if numbers.iter().any(|number| *number > 99) {
        return None;
    }
    let chinese = is_chinese(language);
    let units: [&str; 3] = if chinese { ["小时", "分钟", "秒"] } else { ["hour", "minute", "second"] };
    let one = |(number, unit): (u32, &str)| match (chinese, number) {
        (false, number) => counted(number, unit),
        (true, 2) => format!("两{unit}"),
        (true, number) => format!("{}{unit}", cardinal(number.into())),
    };
    let said: Vec<String> = numbers.iter().copied().zip(units).filter(|(number, _)| *number > 0).map(one).collect();
    let between = if chinese { "" } else { " " };
    Some(if said.is_empty() { one((0, units[numbers.len() - 1])) } else { said.join(between) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_numerals_in_chinese_and_figures_in_english() {
        for (figures, words) in [
            ("0", "零"),
            ("10", "十"),
            ("12", "十二"),
            ("110", "一百一十"),
            ("1086", "一千零八十六"),
            ("10000", "一万"),
            ("10010", "一万零一十"),
            ("100000", "十万"),
            ("20300", "二万零三百"),
            ("100000000", "一亿"),
            ("100010000", "一亿零一万"),
            ("999999999999999", "九百九十九万九千九百九十九亿九千九百九十九万九千九百九十九"),
            ("-3.05", "负三点零五"),
        ] {
            assert_eq!(number(figures, "zh-CN").as_deref(), Some(words), "{figures}");
        }
        assert_eq!(number("-12.50", "en").as_deref(), Some("minus 12.50"));
        for wrong in ["", "-", ".5", "1e9", "１", "1.2.3", "1234567890123456", "1.1234567890"] {
            assert_eq!(number(wrong, "en"), None, "{wrong}");
        }
    }

    #[test]
    fn the_rest_is_said_as_the_document_reads_it() {
        let zh = "zh";
        assert_eq!(money("1086.30", "", zh).as_deref(), Some("一千零八十六元三角"));
        assert_eq!(money("5.05", "", zh).as_deref(), Some("五元零五分"));
        assert_eq!(money("5.999", "", zh).as_deref(), Some("五元九角九分"));
        assert_eq!(money("1086.3", "", "en").as_deref(), Some("1086.30 yuan"));
        assert_eq!(money("12", "euros", "en").as_deref(), Some("12 euros"));
        assert_eq!(moment("2012-9-8 1:5:3", zh).as_deref(), Some("二零一二年九月八日一点五分三秒"));
        assert_eq!(moment("1980-01-01 01:23", zh).as_deref(), Some("一九八零年一月一日一点二十三分"));
        assert_eq!(moment("2012-9", zh).as_deref(), Some("二零一二年九月"));
        assert_eq!(moment("01:23:35", zh).as_deref(), Some("一点二十三分三十五秒"));
        assert_eq!(moment("2016-09-02", "en").as_deref(), Some("September 2, 2016"));
        assert_eq!(moment("2016-09-02 01:05:03", "en").as_deref(), Some("September 2, 2016, 1 oh 5 and 3 seconds"));
        assert_eq!(moment("12:00", "en").as_deref(), Some("12 o'clock"));
        assert_eq!(duration("1:5:3", zh).as_deref(), Some("一小时五分钟三秒"));
        assert_eq!(duration("2:0", zh).as_deref(), Some("两小时"));
        assert_eq!(duration("01:23:35", "en").as_deref(), Some("1 hour 23 minutes 35 seconds"));
        assert_eq!(duration("0:0", "en").as_deref(), Some("0 minutes"));
        assert_eq!(digits("110", zh).as_deref(), Some("一 一 零"));
        assert_eq!(digits("1*0#", "en").as_deref(), Some("1 star 0 hash"));
        for wrong in ["2012-13-1", "2012-2-30", "24:00", "1:60", "", "1", "a:b", "2012-1 10:00", "1:2:3:4"] {
            assert_eq!(moment(wrong, "en"), None, "{wrong}");
        }
        assert_eq!((duration("1:100", "en"), digits("12a", "en"), digits("", "en")), (None, None, None));
    }

    proptest! {
        #[test]
        fn nothing_is_too_strange_to_be_read(text: String, language in "zh|en") {
            let _ = (digits(&text, &language), number(&text, &language), money(&text, "", &language));
            let _ = (moment(&text, &language), duration(&text, &language));
        }

        /// No figure is left to a Chinese voice, and nothing is said twice in a row that is nothing.
        #[test]
        fn numerals_are_whole(value in 0_u64..1_000_000_000_000_000) {
            let words = cardinal(value);
            prop_assert!(!words.contains(|c: char| c.is_ascii()) && !words.contains("零零"), "{words}");
            prop_assert!(value == 0 || !words.ends_with('零'), "{words}");
        }
    }
}
