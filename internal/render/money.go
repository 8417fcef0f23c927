package render

import (
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// perMonth says what every price is: providers bill by the hour up to a
// monthly cap and leave the tax to the country of the customer.
const perMonth = " per month without VAT"

// price tells what a part does to the monthly bill; "" when it is not known.
func price(c *plans.Cost) string {
	switch {
	case c == nil:
		return ""
	case c.Before == c.After:
		return "stays at " + money(c.After, c.Currency) + perMonth
	case c.Before == 0:
		return money(c.After, c.Currency) + perMonth
	default:
		return fmt.Sprintf("%s → %s%s (%s)", money(c.Before, c.Currency), money(c.After, c.Currency), perMonth, difference(c.After-c.Before, c.Currency))
	}
}

func difference(d fleet.Money, currency string) string {
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	if d < cent/2 {
		return sign + " less than " + money(cent, currency)
	}
	return sign + " " + money(d, currency)
}

// cent is a hundredth of a currency's unit.
const cent fleet.Money = 10_000

// money is an amount with two decimals: € 12.34.
func money(m fleet.Money, currency string) string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	cents := (m + cent/2) / cent
	return fmt.Sprintf("%s%s %d.%02d", sign, currencySign(currency), cents/100, cents%100)
}

// currencySign is a currency's code as it is, or a sign of our own.
func currencySign(currency string) string {
	switch {
	case currency == "EUR", currency == "":
		return "€"
	case len(currency) == 3 && strings.Trim(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
		return currency
	default:
		return "¤" // text from outside that is no code
	}
}
