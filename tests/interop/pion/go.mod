module interop/pion

go 1.19
