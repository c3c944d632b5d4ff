// How a federation settled, as the phases tell it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "campaign/figures.h"
#include "campaign/journal.h"
#include "campaign/phase.h"
#include "campaign/trial.h"

namespace aimem::demo {

void CheckAllAnswered(std::span<const campaign::Journal> journals, campaign::Report& report);

/// `since`: what it was waited for after.
void ShowSettled(const campaign::Settled& settled, std::string_view since,
                 campaign::Report& report);

/// Memories that are not there, not up to date, or not deleted yet: "a 0, b 0, c 11".
std::string Behind(const campaign::MemberFindings& found);

/// Below `at`.
void SetFigures(const campaign::Settled& settled, const std::string& at,
                campaign::Figures& figures);

}  // namespace aimem::demo
